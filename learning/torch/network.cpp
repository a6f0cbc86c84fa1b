#include "learning/torch/network.hpp"

namespace fl {

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
