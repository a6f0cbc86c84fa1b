#include "learning/aggregation/server_optimizer.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "learning/aggregation/names.hpp"
#include "learning/kernels.hpp"
#include "learning/vectorize.hpp"

namespace fl {

namespace {

constexpr Names<ServerOptimizerName, 5> kOptimizerNames = {{{"none", ServerOptimizerName::none},
                                                            {"momentum", ServerOptimizerName::momentum},
                                                            {"adagrad", ServerOptimizerName::adagrad},
                                                            {"adam", ServerOptimizerName::adam},
                                                            {"yogi", ServerOptimizerName::yogi}}};

bool has_first_moment(ServerOptimizerName name) {
  return name != ServerOptimizerName::none;
}

bool has_second_moment(ServerOptimizerName name) {
  return has_first_moment(name) && name != ServerOptimizerName::momentum;
}

/// One tensor's part of every array, `size` floats each.
struct Arrays {
  float* out;
  const float* x;
  const float* sum;
  float* m;
  float* v;
  std::size_t size;
};

/// The settings in the precision of the loops.
struct Coefficients {
  float delta_scale;  ///< 1 / divisor
  float learning_rate;
  float beta1;
  float one_minus_beta1;
  float beta2;
  float one_minus_beta2;
  float epsilon;
};

FL_VECTORIZED void step_momentum(Arrays arrays, Coefficients c) {
  const auto [out, x, sum, m, v, size] = arrays;
  FL_ELEMENTWISE
  for (std::size_t i = 0; i < size; ++i) {
    m[i] = c.beta1 * m[i] + c.delta_scale * sum[i];
    out[i] = x[i] + c.learning_rate * m[i];
  }
}

/// The three that differ in v alone; `next_v(v, Δ²)` says how. Inlined, so that it is compiled for its
/// caller's vectors.
template <class NextV>
[[gnu::always_inline]] inline void step_adaptive(Arrays arrays, Coefficients c, NextV next_v) {
  const auto [out, x, sum, m, v, size] = arrays;
  FL_ELEMENTWISE
  for (std::size_t i = 0; i < size; ++i) {
    const auto delta = c.delta_scale * sum[i];
    const auto next_m = c.beta1 * m[i] + c.one_minus_beta1 * delta;
    const auto next = next_v(v[i], delta * delta);
    m[i] = next_m;
    v[i] = next;
    out[i] = x[i] + c.learning_rate * next_m / (std::sqrt(next) + c.epsilon);
  }
}

FL_VECTORIZED void step_adagrad(Arrays arrays, Coefficients c) {
  step_adaptive(arrays, c, [](float v, float square) { return v + square; });
}

FL_VECTORIZED void step_adam(Arrays arrays, Coefficients c) {
  step_adaptive(arrays, c, [c](float v, float square) { return c.beta2 * v + c.one_minus_beta2 * square; });
}

FL_VECTORIZED void step_yogi(Arrays arrays, Coefficients c) {
  step_adaptive(arrays, c, [c](float v, float square) {
    const auto sign = static_cast<float>(v > square) - static_cast<float>(v < square);
    return v - c.one_minus_beta2 * square * sign;
  });
}

}  // namespace

Result<ServerOptimizerName> parse_server_optimizer(const std::string& name) {
  return parse_name(kOptimizerNames, "server optimizer", name);
}

std::string to_string(ServerOptimizerName name) {
  return name_in(kOptimizerNames, name);
}

ServerOptimizer::ServerOptimizer(const ServerOptimizerOptions& options, LayoutPtr layout)
    : options_(options), layout_(std::move(layout)) {
  if (has_first_moment(options_.name)) m_ = Parameters::zeros(layout_);
  if (has_second_moment(options_.name)) {
    v_ = Parameters(layout_);
    std::ranges::fill(v_.values(), static_cast<float>(options_.epsilon * options_.epsilon));
  }
}

void ServerOptimizer::step(std::span<float> out, std::span<const float> x, std::span<const float> sum,
                           double divisor, double learning_rate) {
  const auto coefficients = Coefficients{.delta_scale = static_cast<float>(1 / divisor),
                                         .learning_rate = static_cast<float>(learning_rate),
                                         .beta1 = static_cast<float>(options_.beta1),
                                         .one_minus_beta1 = static_cast<float>(1 - options_.beta1),
                                         .beta2 = static_cast<float>(options_.beta2),
                                         .one_minus_beta2 = static_cast<float>(1 - options_.beta2),
                                         .epsilon = static_cast<float>(options_.epsilon)};
  for (const auto& entry : layout_->entries()) {
    const auto add = [&](double scale) {
      kernels::add_scaled(out.subspan(entry.offset, entry.size), x.subspan(entry.offset, entry.size),
                          sum.subspan(entry.offset, entry.size), static_cast<float>(scale));
    };
    if (entry.kind == EntryKind::buffer) {
      add(1 / divisor);
      continue;
    }
    const auto arrays = Arrays{.out = out.data() + entry.offset,
                               .x = x.data() + entry.offset,
                               .sum = sum.data() + entry.offset,
                               .m = m_.values().data() + (m_.layout() ? entry.offset : 0),
                               .v = v_.values().data() + (v_.layout() ? entry.offset : 0),
                               .size = entry.size};
    switch (options_.name) {
      case ServerOptimizerName::none:
        add(learning_rate / divisor);
        break;
      case ServerOptimizerName::momentum:
        step_momentum(arrays, coefficients);
        break;
      case ServerOptimizerName::adagrad:
        step_adagrad(arrays, coefficients);
        break;
      case ServerOptimizerName::adam:
        step_adam(arrays, coefficients);
        break;
      case ServerOptimizerName::yogi:
        step_yogi(arrays, coefficients);
        break;
    }
  }
}

Result<void> ServerOptimizer::restore(Parameters m, Parameters v) {
  const auto fits = [this](const Parameters& moment, bool wanted) {
    return wanted ? moment.layout() && *moment.layout() == *layout_ : moment.size() == 0;
  };
  if (!fits(m, has_first_moment(options_.name)) || !fits(v, has_second_moment(options_.name))) {
    return fail(ec::corrupt_data, "the saved moments (m " + std::to_string(m.size()) + ", v " +
                                      std::to_string(v.size()) + " floats) are not those of " +
                                      to_string(options_.name) + " for a model of " +
                                      std::to_string(layout_->size()) + " floats");
  }
  m_ = std::move(m);
  v_ = std::move(v);
  return {};
}

}  // namespace fl
