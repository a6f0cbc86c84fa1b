#include "learning/torch/network.hpp"

#include <algorithm>
#include <cmath>

namespace fl {

namespace {

/// Samples whose inputs are looked at together.
constexpr auto kCheckedTogether = std::size_t{256};

}  // namespace

Result<void> check_indices(const Network& network, const DataView& data) {
  const auto count = network.input_indices();
  if (!count) return {};
  const auto is_index = [&](float value) {
    return value >= 0 && value < static_cast<float>(*count) && value == std::floor(value);
  };
  const auto& dataset = *data.dataset;
  auto features = std::vector<float>();
  auto labels = std::vector<std::int64_t>();
  for (auto begin = std::size_t{0}; begin < data.size(); begin += kCheckedTogether) {
    const auto rows = std::span(data.rows).subspan(begin, std::min(kCheckedTogether, data.size() - begin));
    features.resize(rows.size() * dataset.sample_size());
    labels.resize(rows.size());
    dataset.gather(rows, features, labels);
    const auto wrong = std::ranges::find_if_not(features, is_index);
    if (wrong == features.end()) continue;
    const auto place = static_cast<std::size_t>(wrong - features.begin()) / dataset.sample_size();
    return fail(ec::bad_data,
                "row " + std::to_string(rows[place]) + " has the input " + std::to_string(*wrong) +
                    ", and the model takes indices, whole numbers from 0 to " + std::to_string(*count - 1));
  }
  return {};
}

std::vector<at::Tensor> views_of(const at::Tensor& flat, const Layout& layout) {
  auto views = std::vector<at::Tensor>();
  for (const auto& entry : layout.entries()) {
    views.push_back(
        flat.narrow(0, static_cast<std::int64_t>(entry.offset), static_cast<std::int64_t>(entry.size))
            .view(entry.shape));
  }
  return views;
}

at::Tensor tensor_over(std::span<const float> values) {
  return at::from_blob(const_cast<float*>(values.data()), {static_cast<std::int64_t>(values.size())},
                       at::kFloat);
}

}  // namespace fl
