// The bare work of a finished simulation: each of its updates trained again from the initial model, and as
// many evaluations, on plain threads without actors, sessions, folding or files. bench/virtual_time.py
// compares it with what the simulation took.
//
//   bench_torch_fleet RUN_DIR [--workers 2]
#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <thread>

#include "learning/random.hpp"
#include "runtime/run_history.hpp"
#include "runtime/workbench.hpp"

namespace {

using Clock = std::chrono::steady_clock;

void finish(fl::Job& job) {
  while (!job.run_slice(Clock::time_point::max())) {
  }
}

}  // namespace

int main(int argc, char** argv) {
  auto folder = std::string();
  auto workers = 2u;
  auto app = CLI::App("the bare work of a finished simulation");
  app.add_option("folder", folder)->required();
  app.add_option("--workers", workers);
  CLI11_PARSE(app, argc, argv);

  const auto config = fl::load_config({{std::filesystem::path(folder) / "config.toml"}, {}}).value();
  const auto history = fl::read_history(folder).value();
  const auto bench = fl::make_server_workbench(config, true).value();
  const auto partition = fl::divide(bench.data, config.partition, config.clients.count, config.seed).value();
  auto views = std::vector<std::shared_ptr<const fl::DataView>>();
  for (const auto& rows : partition.rows)
    views.push_back(std::make_shared<const fl::DataView>(fl::DataView{bench.data.train, rows}));
  const auto base = std::make_shared<const fl::Parameters>(bench.trainer->initial_parameters(config.seed));
  const auto test = std::make_shared<const fl::DataView>(fl::DataView::all(bench.data.test));
  const auto evaluations = static_cast<std::size_t>(std::ranges::count_if(
      history.versions, [](const auto& version) { return version.accuracy.has_value(); }));

  const auto jobs = history.decisions.size() + evaluations;
  auto next = std::atomic<std::size_t>(0);
  const auto work = [&] {
    auto update = fl::Parameters(bench.trainer->layout());
    for (auto i = next++; i < jobs; i = next++) {
      if (i >= history.decisions.size()) {
        finish(*bench.trainer->evaluate(base, test).value());
        continue;
      }
      const auto client = history.decisions[i].client;
      const auto job =
          bench.trainer
              ->train(config.training, base, views[client], fl::stream_seed(config.seed, "train", client, i))
              .value();
      finish(*job);
      job->write_update(update.values(), false);
    }
  };
  const auto begun = Clock::now();
  auto threads = std::vector<std::thread>();
  for (auto i = 0u; i < workers; ++i) threads.emplace_back(work);
  for (auto& thread : threads) thread.join();
  std::printf("{\"seconds\": %.3f, \"trainings\": %zu, \"evaluations\": %zu}\n",
              std::chrono::duration<double>(Clock::now() - begun).count(), history.decisions.size(),
              evaluations);
  return 0;
}
