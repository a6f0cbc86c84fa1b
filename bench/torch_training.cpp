// How fast two workers train three clients, against two bare LibTorch loops side by side in the same run: the
// same network (the tutorial's CNN), data, batch size and one thread each. The kinds alternate; medians are
// printed.
//
//   bench_torch_training [--samples 60000 | --steps N] [--repetitions 3] [--data DIR] [--precision fp32 bf16]
#include <ATen/autocast_mode.h>
#include <torch/torch.h>
// torch first, before its macros can meet those of others.
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <future>
#include <thread>

#include "learning/data/dataset.hpp"
#include "learning/torch/thread_limits.hpp"
#include "learning/torch/torch_trainer.hpp"
#include "learning/worker_pool.hpp"

namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kBatch = std::size_t{32};
constexpr auto kWorkers = std::size_t{2};
constexpr auto kClients = std::size_t{3};
constexpr auto kLearningRate = 0.01;

// The bare loop: what one writes first.

struct SimpleCnn : torch::nn::Module {
  torch::Tensor forward(torch::Tensor x) {
    x = torch::relu(conv1(x));
    x = torch::max_pool2d(torch::relu(conv2(x)), 2);
    x = torch::relu(fc1(torch::flatten(x, 1)));
    return fc2(x);
  }
  torch::nn::Conv2d conv1 = register_module("conv1", torch::nn::Conv2d(1, 32, 3));
  torch::nn::Conv2d conv2 = register_module("conv2", torch::nn::Conv2d(32, 64, 3));
  torch::nn::Linear fc1 = register_module("fc1", torch::nn::Linear(9216, 128));
  torch::nn::Linear fc2 = register_module("fc2", torch::nn::Linear(128, 10));
};

/// The samples as tensors, made once and shared.
struct Tensors {
  torch::Tensor features;  ///< [N, 1, 28, 28]
  torch::Tensor labels;    ///< [N]
};

Tensors tensors_of(const fl::Dataset& dataset) {
  const auto count = static_cast<std::int64_t>(dataset.size());
  auto tensors = Tensors{torch::empty({count, 1, 28, 28}), torch::empty({count}, torch::kLong)};
  const auto rows = fl::DataView::all(std::make_shared<fl::Dataset>(dataset)).rows;
  dataset.gather(rows, {tensors.features.data_ptr<float>(), dataset.size() * dataset.sample_size()},
                 {tensors.labels.data_ptr<std::int64_t>(), dataset.size()});
  return tensors;
}

/// Autocast for one thread and scope.
class Autocast {
 public:
  explicit Autocast(bool enabled) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"  // later versions of torch name the device instead
    at::autocast::set_cpu_enabled(enabled);
    at::autocast::set_autocast_cpu_dtype(at::kBFloat16);
  }
  ~Autocast() {
    at::autocast::clear_cache();
    at::autocast::set_cpu_enabled(false);
#pragma GCC diagnostic pop
  }
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;
};

void bare_loop(const Tensors& data, std::size_t steps, bool bf16) {
  fl::limit_threads(1);
  auto net = SimpleCnn();
  auto optimizer = torch::optim::SGD(net.parameters(), kLearningRate);
  const auto batch = static_cast<std::int64_t>(kBatch);
  auto order = torch::randperm(data.labels.size(0));
  auto position = std::int64_t{0};
  for (auto step = std::size_t{0}; step < steps; ++step) {
    if (position + batch > order.size(0)) position = 0;
    const auto rows = order.narrow(0, position, batch);
    position += batch;
    optimizer.zero_grad();
    auto loss = torch::Tensor();
    {
      const auto autocast = Autocast(bf16);
      const auto logits = net.forward(data.features.index_select(0, rows));
      loss =
          torch::nn::functional::cross_entropy(logits.to(torch::kFloat), data.labels.index_select(0, rows));
    }
    loss.backward();
    optimizer.step();
  }
}

// One measurement of each kind.

/// CPU time tells more than wall time where other programs disturb.
struct Cost {
  double seconds = 0;
  double cpu_seconds = 0;
  double page_faults = 0;
};

/// The cost since it was made.
class Meter {
 public:
  Cost read() const {
    const auto now = usage();
    return {std::chrono::duration<double>(Clock::now() - start_).count(),
            now.cpu_seconds - before_.cpu_seconds, now.page_faults - before_.page_faults};
  }

 private:
  static Cost usage() {
    auto self = rusage();
    getrusage(RUSAGE_SELF, &self);
    const auto seconds = [](const timeval& time) {
      return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
    };
    return {0, seconds(self.ru_utime) + seconds(self.ru_stime), static_cast<double>(self.ru_minflt)};
  }

  Cost before_ = usage();
  Clock::time_point start_ = Clock::now();
};

Cost bare_cost(const Tensors& data, std::size_t steps, bool bf16) {
  const auto meter = Meter();
  auto threads = std::vector<std::jthread>();
  for (auto i = std::size_t{0}; i < kWorkers; ++i) {
    const auto share = steps * (i + 1) / kWorkers - steps * i / kWorkers;
    threads.emplace_back([&, share] { bare_loop(data, share, bf16); });
  }
  threads.clear();  // joins
  return meter.read();
}

Cost our_cost(const fl::Trainer& trainer, const fl::DatasetPtr& dataset, std::size_t steps) {
  const auto base = std::make_shared<const fl::Parameters>(trainer.initial_parameters(1));
  const auto meter = Meter();
  auto jobs = std::vector<std::shared_ptr<fl::TrainingJob>>();
  auto pool = fl::WorkerPool(kWorkers, kClients);
  auto done = std::vector<std::future<void>>();
  for (auto client = std::size_t{0}; client < kClients; ++client) {
    auto view = std::make_shared<fl::DataView>(fl::DataView{dataset, {}});
    for (auto row = client; row < dataset->size(); row += kClients) {
      view->rows.push_back(static_cast<std::uint32_t>(row));
    }
    auto settings = fl::TrainingSettings();
    settings.batch_size = kBatch;
    settings.learning_rate = kLearningRate;
    settings.steps = static_cast<std::uint32_t>(steps * (client + 1) / kClients - steps * client / kClients);
    jobs.push_back(trainer.train(settings, base, view, client).value());
    auto promise = std::make_shared<std::promise<void>>();
    done.push_back(promise->get_future());
    pool.submit(jobs.back(), [promise](std::exception_ptr error) {
      error ? promise->set_exception(error) : promise->set_value();
    });
  }
  for (auto& each : done) each.get();
  auto update = std::vector<float>(trainer.layout()->size());
  for (const auto& job : jobs) job->write_update(update, /*whole_model=*/false);
  return meter.read();
}

/// The run of median wall time.
Cost median(std::vector<Cost> costs) {
  std::ranges::sort(costs, {}, &Cost::seconds);
  return costs[costs.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  auto samples = std::size_t{12'000};
  auto steps = std::size_t{0};
  auto repetitions = std::size_t{3};
  auto options = fl::DatasetOptions();
  auto precisions = std::vector<std::string>{"fp32", "bf16"};
  auto app = CLI::App("Training on two workers against two bare LibTorch loops");
  app.add_option("--samples", samples, "samples a measurement trains on, all clients together");
  app.add_option("--steps", steps, "batches instead of samples");
  app.add_option("--repetitions", repetitions, "measurements of each kind")->check(CLI::PositiveNumber);
  app.add_option("--data", options.dir, "folder of the MNIST files; without them synthetic digits serve");
  app.add_option("--precision", precisions, "fp32, bf16 or both");
  CLI11_PARSE(app, argc, argv);
  if (steps == 0) steps = std::max<std::size_t>(1, samples / kBatch);

  auto data = fl::load_dataset(options, 1, kClients);
  if (!data) {
    std::fprintf(stderr, "%s: synthetic digits instead\n", fl::to_string(data.error()).c_str());
    options.name = "synthetic_digits";
    data = fl::load_dataset(options, 1, kClients);
  }
  const auto tensors = tensors_of(*data->train);
  std::printf("%zu batches of %zu (%zu of 60,000 samples), %zu repetitions, evaluation excluded\n", steps,
              kBatch, steps * kBatch, repetitions);

  for (const auto& precision : precisions) {
    auto trainer_options = fl::TrainerOptions();
    trainer_options.precision = precision;
    trainer_options.device = "cpu";
    const auto trainer = fl::make_torch_trainer(trainer_options).value();
    const auto bf16 = precision == "bf16";
    // Both warm up: primitives are made and memory is taken.
    bare_cost(tensors, 10, bf16);
    our_cost(*trainer, data->train, 12);
    auto bare = std::vector<Cost>();
    auto ours = std::vector<Cost>();
    for (auto i = std::size_t{0}; i < repetitions; ++i) {
      bare.push_back(bare_cost(tensors, steps, bf16));
      ours.push_back(our_cost(*trainer, data->train, steps));
    }
    const auto line = [&](const char* name, const Cost& cost) {
      const auto count = static_cast<double>(steps);
      std::printf(
          "%s %-12s %7.2f s  %6.1f steps/s  a step: %5.1f ms of a core, %5.1f ms CPU, %4.0f page faults\n",
          precision.c_str(), name, cost.seconds, count / cost.seconds,
          1e3 * static_cast<double>(kWorkers) * cost.seconds / count, 1e3 * cost.cpu_seconds / count,
          cost.page_faults / count);
    };
    line("bare loops", median(bare));
    line("fl_actor", median(ours));
    std::printf("%s fl_actor is %.2f times as fast as the bare loops (CPU %.2f)\n", precision.c_str(),
                median(bare).seconds / median(ours).seconds,
                median(bare).cpu_seconds / median(ours).cpu_seconds);
    std::fflush(stdout);
  }
}
