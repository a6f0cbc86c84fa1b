#include "learning/aggregation/aggregation.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "learning/kernels.hpp"

namespace fl {

namespace {

/// Whether a saved buffer can be what some folds left.
Result<void> check_buffer(const BufferInfo& buffer, const Parameters& sum, const Layout& layout) {
  if (buffer.count == 0) return {};
  const auto& clients = buffer.clients;
  const bool ascending = std::ranges::adjacent_find(clients, std::ranges::greater_equal()) == clients.end();
  if (clients.empty() || clients.size() > buffer.count || !ascending || !std::isfinite(buffer.divisor) ||
      buffer.divisor <= 0) {
    return fail(ec::corrupt_data, "the saved buffer of " + std::to_string(buffer.count) + " updates names " +
                                      std::to_string(clients.size()) + " clients and the divisor " +
                                      std::to_string(buffer.divisor));
  }
  if (!sum.layout() || *sum.layout() != layout) {
    return fail(ec::layout_mismatch, "the saved buffer holds " + std::to_string(sum.size()) +
                                         " floats of another layout than the model's " +
                                         std::to_string(layout.size()));
  }
  return {};
}

}  // namespace

AggregationState AggregationState::clone() const {
  return {
      model,  version,         updates_accepted, optimizer_m.clone(), optimizer_v.clone(), buffer_sum.clone(),
      buffer, residual.clone()};
}

Aggregation::Aggregation(StrategyOptions strategy, ServerOptimizerOptions optimizer, ParametersPtr initial)
    : strategy_(strategy), optimizer_(optimizer, initial->layout()), model_(std::move(initial)) {}

Result<Aggregation> Aggregation::restore(StrategyOptions strategy, ServerOptimizerOptions optimizer,
                                         AggregationState state) {
  if (!state.model || !state.model->layout()) return fail(ec::corrupt_data, "the saved state has no model");
  auto aggregation = Aggregation(strategy, optimizer, std::move(state.model));
  const auto moments =
      aggregation.optimizer_.restore(std::move(state.optimizer_m), std::move(state.optimizer_v));
  if (!moments) return tl::unexpected(moments.error());
  const auto buffer = check_buffer(state.buffer, state.buffer_sum, *aggregation.model_->layout());
  if (!buffer) return tl::unexpected(buffer.error());

  if (state.residual.size() > 0 && *state.residual.layout() != *aggregation.model_->layout())
    return fail(ec::layout_mismatch,
                "the saved residual of the downloads is of another layout than the model");

  aggregation.residual_ = std::move(state.residual);
  aggregation.version_ = state.version;
  aggregation.updates_accepted_ = state.updates_accepted;
  if (state.buffer.count > 0) {
    aggregation.sum_ = std::move(state.buffer_sum);
    aggregation.divisor_ = state.buffer.divisor;
    aggregation.folded_ = state.buffer.count;
    aggregation.clients_.insert(state.buffer.clients.begin(), state.buffer.clients.end());
  }
  return aggregation;
}

Result<Weight> Aggregation::weigh(const UpdateFacts& update) const {
  return fl::weigh(strategy_, update, version_);
}

Result<void> Aggregation::fold(const UpdateFacts& update, const Weight& weight, const EncodedArray& payload) {
  if (payload.values != model_->size()) {
    return fail(ec::wrong_length, "client " + std::to_string(update.client) + "'s update has " +
                                      std::to_string(payload.values) + " values; the model has " +
                                      std::to_string(model_->size()));
  }
  const bool first = folded_ == 0;
  if (!sum_.layout()) sum_ = Parameters(model_->layout());
  const auto factor = static_cast<float>(weight.fold);

  auto folded_floats = std::uint64_t{0};
  auto visitor = ArrayVisitor();
  visitor.dense = [&](std::uint64_t index, std::span<const float> values) {
    const auto block = sum_.values().subspan(index, values.size());
    const auto model = model_->values().subspan(index, values.size());
    folded_floats += values.size();
    if (wants_model(strategy_.name)) {
      (first ? kernels::scale_difference_into : kernels::fold_difference)(block, values, model, factor);
    } else {
      (first ? kernels::scale_into : kernels::fold)(block, values, factor);
    }
  };
  visitor.sparse = [&](std::span<const std::uint64_t> indices, std::span<const float> values) {
    const auto sum = sum_.values();
    folded_floats += values.size();
    for (std::size_t i = 0; i < indices.size(); ++i) sum[indices[i]] += factor * values[i];
  };
  if (first && payload.codec.is_sparse()) std::ranges::fill(sum_.values(), 0.0f);
  auto read = visit_array(payload, visitor);
  if (!read && !first && folded_floats > 0)
    throw std::runtime_error("an update could be read only in part, so the sum has lost its meaning: " +
                             to_string(read.error()));
  if (!read) return read;

  divisor_ += weight.divisor;
  ++folded_;
  ++updates_accepted_;
  clients_.insert(update.client);
  return {};
}

void Aggregation::close() {
  if (folded_ == 0) throw std::logic_error("Aggregation::close: nothing was folded");
  if (strategy_.publishing.codec.is_lossy())
    publish_change();
  else
    publish_exactly();
  ++version_;
  divisor_ = 0;
  folded_ = 0;
  clients_.clear();
}

/// The sum becomes the model, in place: one array less.
void Aggregation::publish_exactly() {
  optimizer_.step(sum_.values(), model_->values(), sum_.values(), divisor_, strategy_.server_learning_rate);
  prune(strategy_.publishing.pruning, version_ + 1, *model_->layout(), model_->values(), sum_.values());
  model_ = std::make_shared<const Parameters>(std::exchange(sum_, Parameters()));
  delta_ = nullptr;
}

void Aggregation::publish_change() {
  if (residual_.size() == 0) residual_ = Parameters::zeros(model_->layout());
  const auto change = residual_.values();
  const auto next = sum_.values();
  kernels::fold(change, model_->values(), 1);  // x = x_published + what was left out
  optimizer_.step(next, change, next, divisor_, strategy_.server_learning_rate);
  kernels::subtract(change, next, model_->values());
  auto coded = encode_leaving_rest(strategy_.publishing.codec, *model_->layout(), change, version_);
  if (!coded) {
    // A model that diverged is published as it is.
    model_ = std::make_shared<const Parameters>(std::exchange(sum_, Parameters()));
    residual_ = Parameters();
    delta_ = nullptr;
    return;
  }
  auto delta = std::make_shared<VersionDelta>(VersionDelta{strategy_.publishing.codec, std::move(*coded)});
  std::ranges::copy(model_->values(), next.begin());
  const auto source = std::make_shared<const BorrowedSource>(delta->bytes.span());
  const auto applied =
      add_decoded({source, 0, model_->size(), delta->bytes.size(), delta->codec}, 1, sum_.values());
  if (!applied)
    throw std::logic_error("Aggregation: its own delta cannot be read: " + to_string(applied.error()));
  model_ = std::make_shared<const Parameters>(std::exchange(sum_, Parameters()));
  delta_ = std::move(delta);
}

void Aggregation::close_unchanged() {
  discard_buffer();
  delta_ = nullptr;
  ++version_;
}

std::uint64_t Aggregation::discard_buffer() {
  const auto discarded = std::exchange(folded_, 0);
  updates_accepted_ -= discarded;
  divisor_ = 0;
  clients_.clear();
  return discarded;
}

AggregationState Aggregation::state() const {
  auto state = AggregationState{.model = model_,
                                .version = version_,
                                .updates_accepted = updates_accepted_,
                                .optimizer_m = optimizer_.m().clone(),
                                .optimizer_v = optimizer_.v().clone(),
                                .buffer_sum = {},
                                .buffer = {divisor_, folded_, {clients_.begin(), clients_.end()}},
                                .residual = residual_.clone()};
  if (folded_ > 0) state.buffer_sum = sum_.clone();
  return state;
}

}  // namespace fl
