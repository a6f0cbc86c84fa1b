#include "tests/fuzz/envelope_mutator.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "fl.pb.h"
#include "messages/envelope.hpp"

// libFuzzer's; missing where the inputs are only replayed.
extern "C" [[gnu::weak]] std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size,
                                                      std::size_t max_size);

namespace fl::fuzz {

namespace {

constexpr std::size_t kPrefix_bytes = 16;
constexpr std::size_t kAlignment_bytes = 64;

using Random = std::minstd_rand;

std::size_t below(Random& random, std::size_t count) {
  return random() % count;
}

std::size_t round_up(std::size_t bytes) {
  return (bytes + kAlignment_bytes - 1) / kAlignment_bytes * kAlignment_bytes;
}

struct Parts {
  std::string header;
  std::vector<std::uint8_t> payload;
};

/// Follows the blob as far as its claims are true.
Parts take_apart(std::span<const std::uint8_t> blob) {
  if (blob.size() < kPrefix_bytes) return {};
  auto claimed = std::uint32_t{0};
  std::memcpy(&claimed, blob.data() + 8, sizeof claimed);
  const auto header_bytes = std::min<std::size_t>(claimed, blob.size() - kPrefix_bytes);
  const auto header = blob.subspan(kPrefix_bytes, header_bytes);
  const auto rest = blob.subspan(std::min(round_up(kPrefix_bytes + header_bytes), blob.size()));
  return {std::string(header.begin(), header.end()), {rest.begin(), rest.end()}};
}

std::vector<std::uint8_t> put_together(const Parts& parts) {
  auto blob = std::vector<std::uint8_t>(round_up(kPrefix_bytes + parts.header.size()));
  std::memcpy(blob.data(), "FLACTOR1", 8);
  const auto header_bytes = static_cast<std::uint32_t>(parts.header.size());
  const auto checksum = static_cast<std::uint32_t>(hash_of(std::as_bytes(std::span(parts.header))));
  std::memcpy(blob.data() + 8, &header_bytes, sizeof header_bytes);
  std::memcpy(blob.data() + 12, &checksum, sizeof checksum);
  std::ranges::copy(parts.header, blob.begin() + kPrefix_bytes);
  blob.insert(blob.end(), parts.payload.begin(), parts.payload.end());
  return blob;
}

/// Numbers near limits, and those that are near what is there.
std::uint64_t odd_number(Random& random, std::uint64_t old) {
  const auto choices = std::array<std::uint64_t, 14>{0,
                                                     1,
                                                     63,
                                                     64,
                                                     old + 1,
                                                     old - 1,
                                                     old + 64,
                                                     old * 2,
                                                     old * 4,
                                                     std::uint64_t{1} << 32,
                                                     std::uint64_t{1} << 62,
                                                     (std::uint64_t{1} << 63) - 1,
                                                     std::numeric_limits<std::uint64_t>::max(),
                                                     std::uint64_t{0} - old};
  return choices[below(random, choices.size())];
}

double odd_double(Random& random) {
  using limits = std::numeric_limits<double>;
  const auto choices =
      std::array{0.0, -0.0, 1.0, -1.0, limits::infinity(), limits::quiet_NaN(), limits::max()};
  return choices[below(random, choices.size())];
}

std::string name_of_array(Random& random) {
  const auto names =
      std::array{"parameters", "delta", "model", "optimizer.m", "optimizer.v", "buffer", "", "weight"};
  return names[below(random, names.size())];
}

void change(proto::Section& section, Random& random) {
  switch (below(random, 7)) {
    case 0:
      return section.set_name(name_of_array(random));
    case 1:
      return section.set_codec(below(random, 2) == 0 ? "none" : "topk");
    case 2:
      return section.set_offset(odd_number(random, section.offset()));
    case 3:
      return section.set_bytes(odd_number(random, section.bytes()));
    case 4:
      return section.set_values(odd_number(random, section.values()));
    case 5:
      return section.set_xxh3(odd_number(random, section.xxh3()));
    case 6:
      return section.set_dtype(static_cast<proto::Section::Dtype>(below(random, 3)));
  }
}

void change(proto::Tensor& tensor, Random& random) {
  switch (below(random, 4)) {
    case 0:
      return tensor.set_name(name_of_array(random));
    case 1:
      return tensor.set_kind(static_cast<proto::Tensor::Kind>(below(random, 3)));
    case 2:
      return tensor.add_shape(static_cast<std::int64_t>(odd_number(random, 3)));
    case 3:
      if (tensor.shape_size() == 0) return;
      const auto place = static_cast<int>(below(random, static_cast<std::size_t>(tensor.shape_size())));
      const auto old = static_cast<std::uint64_t>(tensor.shape(place));
      return tensor.set_shape(place, static_cast<std::int64_t>(odd_number(random, old)));
  }
}

void change(proto::Update& update, Random& random) {
  auto& evaluation = *update.mutable_base_evaluation();
  switch (below(random, 11)) {
    case 0:
      return update.set_task(odd_number(random, update.task()));
    case 1:
      return update.set_epoch(static_cast<std::uint32_t>(odd_number(random, update.epoch())));
    case 2:
      return update.set_client(static_cast<std::uint32_t>(odd_number(random, update.client())));
    case 3:
      return update.set_base_version(odd_number(random, update.base_version()));
    case 4:
      return update.set_samples(odd_number(random, update.samples()));
    case 5:
      return update.set_train_loss(odd_double(random));
    case 6:
      return update.set_train_seconds(odd_double(random));
    case 7:
      return evaluation.set_version(odd_number(random, evaluation.version()));
    case 8:
      return evaluation.set_samples(odd_number(random, evaluation.samples()));
    case 9:
      return evaluation.set_loss(odd_double(random));
    case 10:
      return evaluation.set_accuracy(odd_double(random));
  }
}

void change(proto::Snapshot& snapshot, Random& random) {
  switch (below(random, 6)) {
    case 0:
      return snapshot.set_version(odd_number(random, snapshot.version()));
    case 1:
      return snapshot.set_next_task(odd_number(random, snapshot.next_task()));
    case 2:
      return snapshot.mutable_buffer()->set_count(odd_number(random, snapshot.buffer().count()));
    case 3:
      return snapshot.mutable_buffer()->set_divisor(odd_double(random));
    case 4:
      return snapshot.mutable_buffer()->add_clients(static_cast<std::uint32_t>(random()));
    case 5:
      return snapshot.clear_buffer();
  }
}

template <class List>
auto* any_of(List& list, Random& random) {
  return list.empty() ? nullptr
                      : list.Mutable(static_cast<int>(below(random, static_cast<std::size_t>(list.size()))));
}

/// One change to a message that was understood.
void change(proto::Envelope& envelope, Random& random) {
  auto& sections = *envelope.mutable_sections();
  auto& layout = *envelope.mutable_layout();
  switch (below(random, 9)) {
    case 0:
      return envelope.set_format_version(static_cast<std::uint32_t>(below(random, 3)));
    case 1:
      return envelope.set_layout_fingerprint(odd_number(random, envelope.layout_fingerprint()));
    case 2:
      *sections.Add() = sections.empty() ? proto::Section() : *any_of(sections, random);
      return;
    case 3:
      if (!sections.empty()) sections.RemoveLast();
      return;
    case 4:
      if (!layout.empty()) layout.RemoveLast();
      return;
    case 5:
      *layout.Add() = layout.empty() ? proto::Tensor() : *any_of(layout, random);
      return;
    case 6:
      if (auto* section = any_of(sections, random)) change(*section, random);
      return;
    case 7:
      if (auto* tensor = any_of(layout, random)) change(*tensor, random);
      return;
    case 8:
      if (envelope.has_update() || below(random, 8) == 0) return change(*envelope.mutable_update(), random);
      if (envelope.has_snapshot() || below(random, 8) == 0)
        return change(*envelope.mutable_snapshot(), random);
      return envelope.mutable_model()->set_version(odd_number(random, envelope.model().version()));
  }
}

/// Makes the hashes of the arrays true that lie within the payload.
void repair_hashes(proto::Envelope& envelope, std::span<const std::uint8_t> payload) {
  for (auto& section : *envelope.mutable_sections()) {
    if (section.xxh3() == 0 || section.offset() > payload.size() ||
        section.bytes() > payload.size() - section.offset())
      continue;
    section.set_xxh3(hash_of(std::as_bytes(payload.subspan(section.offset(), section.bytes()))));
  }
}

/// `room`: by how many bytes it may grow.
template <class Bytes>
Bytes mutate_bytes(Bytes bytes, std::size_t room) {
  const auto size = bytes.size();
  if (size + room == 0) return bytes;
  bytes.resize(size + room);
  bytes.resize(LLVMFuzzerMutate(reinterpret_cast<std::uint8_t*>(bytes.data()), size, bytes.size()));
  return bytes;
}

}  // namespace

std::size_t mutate_envelope(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned seed,
                            std::size_t trailer_bytes) {
  auto random = Random(seed);
  if (size < trailer_bytes + kPrefix_bytes || below(random, 16) == 0)
    return LLVMFuzzerMutate(data, size, max_size);
  auto* const trailer = data + size - trailer_bytes;
  if (trailer_bytes > 0 && below(random, 4) == 0) {
    // Its length stays: it lies at the end.
    LLVMFuzzerMutate(trailer, trailer_bytes, trailer_bytes);
    return size;
  }
  auto parts = take_apart({data, size - trailer_bytes});
  const auto room = max_size - size;
  const auto kind = below(random, 8);
  if (kind == 0) {
    parts.header = mutate_bytes(std::move(parts.header), room);
  } else if (kind <= 2) {
    parts.payload = mutate_bytes(std::move(parts.payload), room);
  }
  auto message = proto::Envelope();
  if (message.ParseFromString(parts.header)) {
    if (kind > 2) change(message, random);
    if (below(random, 8) != 0) repair_hashes(message, parts.payload);
    parts.header = message.SerializeAsString();
  }
  auto blob = put_together(parts);
  if (blob.size() + trailer_bytes > max_size) return LLVMFuzzerMutate(data, size, max_size);
  blob.insert(blob.end(), trailer, trailer + trailer_bytes);
  std::ranges::copy(blob, data);
  return blob.size();
}

}  // namespace fl::fuzz
