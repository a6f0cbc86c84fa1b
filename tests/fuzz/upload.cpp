// An upload as a session puts it together: offers and chunks of any size, at any place, in any order, over
// restarts. An input is a script: a byte of options, the announced size, the hash (or not), then operations.
#include <algorithm>
#include <optional>

#include "actors/session.hpp"
#include "tests/fuzz/blobs.hpp"
#include "tests/fuzz/scratch_folder.hpp"

namespace fl::fuzz {

namespace {

constexpr std::uint64_t kMaxSize_bytes = 4096;

/// The bytes that an honest client would send.
std::vector<std::byte> content(std::uint64_t size) {
  auto bytes = std::vector<std::byte>(size);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 131 + (i >> 8));
  return bytes;
}

struct Place {
  std::string folder;
  bool named = false;
};

/// An upload, and beside it what it must hold.
class Checked {
 public:
  Checked(Place place, std::uint64_t size, bool true_hash)
      : place_(std::move(place)), content_(content(size)) {
    offer_ = {7, 1, size, hash_of(content_) + (true_hash ? 0 : 1)};
    begin();
  }

  /// A session that was restarted, or a client that offers again: a named file goes on, anything else from
  /// the start.
  void begin() {
    upload_.reset();
    auto begun = Upload::begin(offer_, place_.folder, place_.named);
    require(begun.has_value(), "an upload can begin");
    upload_.emplace(std::move(*begun));
    if (!place_.named) taken_.clear();
    require(upload_->received() == taken_.size(), "an upload goes on where it was");
  }

  void add(std::uint64_t offset, std::span<const std::byte> bytes) {
    const auto before = taken_.size();
    const auto added = upload_->add({offer_.task, offset, Bytes(bytes)});
    if (offset < before) {
      require(added.has_value(), "a part that was received before is no error");
    } else if (offset > before || bytes.size() > offer_.size_bytes - before) {
      require(!added.has_value() && added.error().code == ec::corrupt_data, "a gap and too much are refused");
    } else {
      require(added.has_value(), "the next part is taken");
      taken_.insert(taken_.end(), bytes.begin(), bytes.end());
    }
    require(upload_->received() == taken_.size(), "only the next part counts as received");
    require(upload_->received() <= offer_.size_bytes, "no more is received than was offered");
  }

  void add_honest(std::uint64_t offset, std::uint64_t length) {
    const auto from = std::min<std::uint64_t>(offset, content_.size());
    add(offset, std::span(content_).subspan(from, std::min<std::uint64_t>(length, content_.size() - from)));
  }

  std::uint64_t received() const { return upload_->received(); }

  void finish() {
    const auto whole = taken_.size() == offer_.size_bytes && hash_of(taken_) == offer_.hash;
    const auto finished = std::move(*upload_).finish();
    require(finished.has_value() == whole, "an upload ends well when it is whole and only then");
    if (!finished) return;
    auto bytes = std::vector<std::byte>((*finished)->size());
    require((*finished)->read(0, bytes).has_value() && bytes == taken_, "what was sent is what is kept");
  }

 private:
  Place place_;
  std::vector<std::byte> content_;
  UploadOffer offer_;
  std::optional<Upload> upload_;
  std::vector<std::byte> taken_;
};

void run(Input input) {
  static const auto scratch = ScratchFolder();
  auto script = Reader(input);
  const auto options = script.number<std::uint8_t>();
  const auto size = script.number<std::uint16_t>() % (kMaxSize_bytes + 1);
  auto place = Place();
  if (options % 4 > 0) place.folder = scratch.path().string();
  place.named = options % 4 > 1;
  for (const auto& left : std::filesystem::directory_iterator(scratch.path())) std::filesystem::remove(left);

  auto upload = Checked(place, size, (options & 4) == 0);
  while (!script.empty()) {
    const auto operation = script.number<std::uint8_t>();
    const auto offset = script.number<std::uint16_t>();
    const auto length = script.number<std::uint16_t>() % (kMaxSize_bytes + 16);
    switch (operation % 8) {
      case 0:
        upload.begin();
        break;
      case 1:  // dishonest bytes
        upload.add(offset, std::vector<std::byte>(length, std::byte{operation}));
        break;
      case 2:  // at places that a number cannot count up from
        upload.add(~std::uint64_t{offset}, std::vector<std::byte>(length));
        break;
      case 3:
        upload.add_honest(offset, length);
        break;
      default:  // the next part, or what lies shortly behind or before it
        upload.add_honest(
            upload.received() + offset % 4 - std::min<std::uint64_t>(upload.received(), offset / 4 % 4),
            length);
    }
  }
  upload.finish();
}

std::vector<Seed> seeds() {
  const auto script = [](std::uint8_t options) {
    return std::vector<std::uint8_t>{options, 100, 0, 4, 0,  0, 60, 0,  0, 0,  0, 0,
                                     0,       4,   0, 0, 60, 0, 3,  60, 0, 40, 0};
  };
  return {{"memory", script(0)}, {"unnamed", script(1)}, {"named", script(2)}, {"damaged", script(6)}};
}

const auto registration = Registration({"upload", run, seeds});

}  // namespace

}  // namespace fl::fuzz
