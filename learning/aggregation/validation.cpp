#include "learning/aggregation/validation.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "learning/kernels.hpp"
#include "learning/quality.hpp"

namespace fl {

namespace {

/// Of a name that a client sent, what reaches the log.
constexpr std::size_t kMaxCodecName = 64;

std::string_view section_name(bool whole_model) {
  return whole_model ? "model" : "delta";
}

Result<void> check_layout(const Envelope& envelope, const Layout& layout) {
  if (envelope.layout_fingerprint == layout.fingerprint()) return {};
  return fail(ec::layout_mismatch,
              "the update is of another model; client and server need the same model.name");
}

Result<EncodedArray> payload_in(const DecodedHeader& decoded, const ByteSourcePtr& blob, const Layout& layout,
                                bool whole_model) {
  const auto* section = decoded.envelope.find(section_name(whole_model));
  if (section == nullptr || section->values != layout.size())
    return fail(ec::wrong_length, "the update must hold one section \"" +
                                      std::string(section_name(whole_model)) + "\" of " +
                                      std::to_string(layout.size()) + " values");
  const auto codec = parse_codec(section->codec);
  if (!codec)
    return fail(ec::unsupported_format, "the update is coded as \"" +
                                            section->codec.substr(0, kMaxCodecName) +
                                            "\", which this program does not know");
  if (whole_model && !codec->is_none())
    return fail(ec::wrong_length, "a whole model is sent as it is, not as \"" + to_string(*codec) + "\"");
  return EncodedArray{blob, decoded.payload_offset + section->offset, section->values, section->size_bytes,
                      *codec};
}

Result<void> check_claims(const UpdateInfo& info, const UpdateExpectation& expected) {
  if (info.task != expected.task || info.epoch != expected.epoch || info.client != expected.client ||
      info.base != expected.base)
    return fail(ec::unknown_lease,
                "the update says it answers task " + std::to_string(info.task) + " of client " +
                    std::to_string(info.client) + " from version " + std::to_string(info.base) +
                    ", but the lease is task " + std::to_string(expected.task) + " of client " +
                    std::to_string(expected.client) + " from version " + std::to_string(expected.base));
  if (!expected.evaluation_only && (info.samples == 0 || info.samples > expected.max_samples))
    return fail(ec::bad_claim, "the update claims " + std::to_string(info.samples) +
                                   " training samples; the client declared " +
                                   std::to_string(expected.max_samples));
  const auto& evaluation = info.base_evaluation;
  // The weight of a client's evaluation is its samples, so they are checked like those of its training.
  if (evaluation.samples > expected.max_validation_samples ||
      (evaluation.samples > 0 && evaluation.version != expected.base))
    return fail(ec::bad_claim, "the update claims an evaluation of version " +
                                   std::to_string(evaluation.version) + " on " +
                                   std::to_string(evaluation.samples) + " samples; the client declared " +
                                   std::to_string(expected.max_validation_samples) + " and has version " +
                                   std::to_string(expected.base));
  if (!std::isfinite(info.train_loss) || !(std::isfinite(info.train_seconds) && info.train_seconds >= 0) ||
      !std::isfinite(evaluation.loss) || !(evaluation.accuracy >= 0 && evaluation.accuracy <= 1))
    return fail(ec::bad_claim,
                "the update's loss, time or evaluation is not a possible number; "
                "a lower train.learning_rate keeps training from diverging");
  const auto possible = [](const auto& metric) {
    return is_quality_metric(metric.first) && std::isfinite(metric.second);
  };
  if (!std::ranges::all_of(evaluation.metrics, possible))
    return fail(ec::bad_claim, "the update's evaluation has metrics that are unknown, or no numbers");
  return {};
}

}  // namespace

Result<EncodedArray> locate_payload(const ByteSourcePtr& blob, const Layout& layout, bool whole_model) {
  const auto decoded = decode_header(*blob);
  if (!decoded) return tl::unexpected(decoded.error());
  if (auto ok = check_layout(decoded->envelope, layout); !ok) return tl::unexpected(ok.error());
  return payload_in(*decoded, blob, layout, whole_model);
}

Result<void> check_ready(const Ready& ready) {
  if (ready.label_histogram.empty()) return {};
  if (ready.label_histogram.size() > kMaxClasses)
    return fail(ec::bad_claim, "the client counts samples of " +
                                   std::to_string(ready.label_histogram.size()) + " classes, at most " +
                                   std::to_string(kMaxClasses) + " are believed");
  auto left = ready.samples;
  for (const auto count : ready.label_histogram) {
    if (count > left) {
      left = 1;
      break;
    }
    left -= count;
  }
  if (left == 0) return {};
  return fail(ec::bad_claim, "the client's samples of each class do not add up to the " +
                                 std::to_string(ready.samples) + " that it says it has");
}

Result<ValidUpdate> validate_update(const ByteSourcePtr& blob, const UpdateExpectation& expected) {
  auto decoded = decode_header(*blob);
  if (!decoded) return tl::unexpected(decoded.error());
  const auto& envelope = decoded->envelope;
  const auto* info = std::get_if<UpdateInfo>(&envelope.content);
  if (info == nullptr) return fail(ec::corrupt_data, "the blob is not an update");
  if (auto ok = check_layout(envelope, *expected.layout); !ok) return tl::unexpected(ok.error());
  if (auto ok = check_claims(*info, expected); !ok) return tl::unexpected(ok.error());
  if (expected.evaluation_only)
    return ValidUpdate{*info, {}, 0, blob->size(), 0, expected.owner, expected.work};
  auto payload = payload_in(*decoded, blob, *expected.layout, expected.whole_model);
  if (!payload) return tl::unexpected(payload.error());
  auto update = ValidUpdate{*info, std::move(*payload), 0, blob->size(), 0, expected.owner, expected.work};
  auto sum_of_squares = 0.0;
  auto finite = true;
  const auto look_at = [&](std::span<const float> values) {
    finite = finite && kernels::all_finite(values);
    sum_of_squares += kernels::sum_of_squares(values);
  };
  auto visitor = ArrayVisitor();
  visitor.dense = [&](std::uint64_t, std::span<const float> values) { look_at(values); };
  visitor.sparse = [&](std::span<const std::uint64_t>, std::span<const float> values) { look_at(values); };
  auto read = visit_array(update.payload, visitor);
  if (!read) return tl::unexpected(read.error());
  if (!finite) return not_finite_update();
  update.norm = std::sqrt(sum_of_squares);
  if (expected.max_norm > 0 && update.norm > expected.max_norm)
    return fail(ec::norm_too_large,
                "the update's norm is " + std::to_string(update.norm) +
                    ", above validate.max_update_norm = " + std::to_string(expected.max_norm));
  return update;
}

std::span<float> UpdateBlob::values() {
  auto bytes = buffer.span().subspan(payload_offset);
  return {reinterpret_cast<float*>(bytes.data()), bytes.size() / sizeof(float)};
}

namespace {

UpdateBlob make_blob(const UpdateInfo& info, const Layout& layout, std::vector<Section> sections) {
  auto envelope = Envelope();
  envelope.layout_fingerprint = layout.fingerprint();
  envelope.content = info;
  const auto payload_bytes = place_sections(sections);
  envelope.sections = std::move(sections);
  const auto header = encode_header(envelope);
  auto blob = UpdateBlob{AlignedBuffer(header.size() + payload_bytes), header.size()};
  std::memcpy(blob.buffer.data(), header.data(), header.size());
  return blob;
}

}  // namespace

UpdateBlob make_update_blob(const UpdateInfo& info, const Layout& layout, bool whole_model) {
  auto section = Section();
  section.name = section_name(whole_model);
  section.values = layout.size();
  section.size_bytes = layout.size_bytes();
  return make_blob(info, layout, {section});
}

UpdateBlob make_update_blob(const UpdateInfo& info, const Layout& layout, const Codec& codec,
                            std::span<const std::byte> coded) {
  auto section = Section();
  section.name = section_name(false);
  section.codec = to_string(codec);
  section.values = layout.size();
  section.size_bytes = coded.size();
  auto blob = make_blob(info, layout, {section});
  copy_bytes(coded, blob.buffer.data() + blob.payload_offset);
  return blob;
}

UpdateBlob make_evaluation_blob(const UpdateInfo& info, const Layout& layout) {
  return make_blob(info, layout, {});
}

}  // namespace fl
