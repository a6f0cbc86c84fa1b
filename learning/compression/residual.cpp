#include "learning/compression/residual.hpp"

#include <cmath>
#include <utility>

#include "learning/kernels.hpp"

namespace fl {

namespace {

/// u ← m u + Δ.
Parameters next_velocity(double momentum, const Residual* before, const Parameters& delta) {
  if (before == nullptr || before->velocity.size() == 0) return delta.clone();
  auto velocity = Parameters(delta.layout());
  kernels::add_scaled(velocity.values(), delta.values(), before->velocity.values(),
                      static_cast<float>(momentum));
  return velocity;
}

/// The velocity has arrived where something was sent.
Result<void> clear_where_sent(Parameters& velocity, const EncodedArray& sent) {
  auto visitor = ArrayVisitor();
  visitor.dense = [&](std::uint64_t first, std::span<const float> values) {
    std::ranges::fill(velocity.values().subspan(first, values.size()), 0.0f);
  };
  visitor.sparse = [&](std::span<const std::uint64_t> indices, std::span<const float>) {
    for (const auto index : indices) velocity.values()[index] = 0;
  };
  return visit_array(sent, visitor);
}

/// Too little to be worth sending, and not for too long.
bool is_negligible(const UploadSettings& settings, double norm, const Residual* before) {
  if (settings.max_idle_deltas == 0 || before == nullptr) return false;
  return before->idle_deltas < settings.max_idle_deltas && norm < settings.idle_below * before->sent_norm;
}

}  // namespace

bool keeps_residual(const Codec& codec, const UploadSettings& settings) {
  return codec.is_biased() || settings.max_idle_deltas > 0 || settings.momentum > 0;
}

Result<PreparedUpload> prepare_upload(const UploadSettings& settings, Parameters delta,
                                      const ResidualPtr& before, std::uint64_t seed) {
  const auto codec = parse_codec(settings.codec);
  if (!codec) return tl::unexpected(codec.error());
  auto prepared = PreparedUpload();
  prepared.codec = *codec;
  const auto layout = delta.layout();
  if (!keeps_residual(*codec, settings)) {
    auto bytes = encode_array(*codec, *layout, delta.values(), seed);
    if (!bytes) return tl::unexpected(bytes.error());
    prepared.bytes = std::move(*bytes);
    return prepared;
  }
  if (before && before->unsent.size() > 0 && *before->unsent.layout() != *layout)
    return fail(ec::layout_mismatch, "what is left from earlier updates belongs to another model");

  auto after = std::make_shared<Residual>();
  if (settings.momentum > 0) after->velocity = next_velocity(settings.momentum, before.get(), delta);
  auto p = settings.momentum > 0 ? after->velocity.clone() : std::move(delta);
  if (before && before->unsent.size() > 0) kernels::fold(p.values(), before->unsent.values(), 1);
  const auto norm = std::sqrt(kernels::sum_of_squares(p.values()));
  if (!std::isfinite(norm)) return not_finite_update();
  after->sent_norm = norm;
  if (is_negligible(settings, norm, before.get())) {
    after->sent_norm = before->sent_norm;
    after->idle_deltas = before->idle_deltas + 1;
    after->unsent = std::move(p);
    prepared.left_out = true;
    prepared.after = std::move(after);
    return prepared;
  }
  auto bytes = codec->is_biased() ? encode_leaving_rest(*codec, *layout, p.values(), seed)
                                  : encode_array(*codec, *layout, p.values(), seed);
  if (!bytes) return tl::unexpected(bytes.error());
  prepared.bytes = std::move(*bytes);
  if (codec->is_biased()) after->unsent = std::move(p);
  if (after->velocity.size() > 0) {
    const auto sent = EncodedArray{std::make_shared<const BorrowedSource>(prepared.bytes.span()), 0,
                                   layout->size(), prepared.bytes.size(), *codec};
    if (auto ok = clear_where_sent(after->velocity, sent); !ok) return tl::unexpected(ok.error());
  }
  prepared.after = std::move(after);
  return prepared;
}

Result<ResidualPtr> after_refusal(const Residual& after, const EncodedArray& sent) {
  auto next = std::make_shared<Residual>();
  next->velocity = after.velocity.clone();
  next->sent_norm = after.sent_norm;
  if (after.unsent.size() > 0) {
    next->unsent = after.unsent.clone();
    if (auto ok = add_decoded(sent, 1, next->unsent.values()); !ok) return tl::unexpected(ok.error());
  }
  return next;
}

// -- MemoryResiduals ----------------------------------------------------------------------------------------

void MemoryResiduals::select(const std::string& place) {
  if (place == place_) return;
  place_ = place;
  current_ = nullptr;
  proposal_.reset();
}

Result<ResidualPtr> MemoryResiduals::current(const LayoutPtr&) {
  return current_;
}

Result<void> MemoryResiduals::propose(TaskId task, const ResidualPtr& after) {
  proposal_.emplace(task, after);
  return {};
}

Result<ResidualPtr> MemoryResiduals::proposal(TaskId task, const LayoutPtr&) {
  return proposal_ && proposal_->first == task ? proposal_->second : nullptr;
}

Result<void> MemoryResiduals::accept(TaskId task) {
  if (!proposal_ || proposal_->first != task) return {};
  current_ = std::move(proposal_->second);
  proposal_.reset();
  return {};
}

Result<void> MemoryResiduals::replace(const ResidualPtr& residual) {
  current_ = residual;
  proposal_.reset();
  return {};
}

}  // namespace fl
