#include "runtime/predict_command.hpp"

#include <spdlog/fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <span>

#include "learning/data/idx.hpp"
#include "learning/data/own_data.hpp"
#include "learning/loss_name.hpp"
#include "learning/quality.hpp"
#include "runtime/atomic_file.hpp"
#include "runtime/csv.hpp"
#ifdef FL_WITH_TORCH
#include "learning/torch/prediction.hpp"
#endif

namespace fl {

namespace {

namespace fs = std::filesystem;

#ifdef FL_WITH_TORCH
/// What the model says of itself.
struct About {
  DataSchema schema;
  LossName loss = LossName::cross_entropy;
};

Result<About> parse_about(const std::string& text, const fs::path& file) {
  const auto refuse = [&](const std::string& why) {
    return fail(ec::bad_data, file.string() + " does not say what data it takes (" + why +
                                  "); predict is for the model.pt of a run of this program");
  };
  if (text.empty()) return refuse("it has no fl_actor.json");
  try {
    const auto json = nlohmann::ordered_json::parse(text);
    auto schema = parse_schema(json.at("schema").dump());
    if (!schema) return refuse(schema.error().text);
    const auto loss = parse_loss(json.at("loss").get<std::string>());
    if (!loss) return refuse(loss.error().text);
    return About{std::move(*schema), *loss};
  } catch (const nlohmann::json::exception& error) {
    return refuse(error.what());
  }
}

/// Images are images, however they are kept.
void take_kind_of(const fs::path& data, DataSchema& schema) {
  if (!schema.pixels) return;
  if (data.extension() == ".npz")
    schema.kind = "npz";
  else if (find_idx(data, "t10k-images-idx3-ubyte") || find_idx(data, "train-images-idx3-ubyte"))
    schema.kind = "idx";
  else
    schema.kind = "images";
}

/// Of each class, from the outputs of one sample.
std::vector<double> probabilities_of(std::span<const float> outputs, LossName loss) {
  if (loss == LossName::bce) {
    const auto p = 1 / (1 + std::exp(-static_cast<double>(outputs[0])));
    return {1 - p, p};
  }
  const auto largest = *std::ranges::max_element(outputs);
  auto shares = std::vector<double>();
  auto sum = 0.0;
  for (const auto output : outputs) sum += shares.emplace_back(std::exp(double{output} - double{largest}));
  for (auto& share : shares) share /= sum;
  return shares;
}

/// The table, and how good it is where that can be said.
class Answers {
 public:
  Answers(const About& about, const UnseenData& unseen, bool all)
      : about_(about), unseen_(unseen), all_(all), labels_(about.schema.class_count()) {
    auto header = std::vector<std::string>{about.schema.kind == "images" ? "file" : "row", "prediction"};
    if (about.schema.has_labels()) header.emplace_back("probability");
    if (about.schema.has_labels() && all)
      for (const auto& name : about.schema.classes) header.push_back("p_" + name);
    if (unseen.has_target) header.emplace_back("target");
    table_ = csv_row(header);
  }

  void add(std::size_t row, std::span<const float> outputs) {
    auto fields = std::vector<std::string>{unseen_.names[row]};
    if (about_.schema.has_labels())
      add_label(row, outputs, fields);
    else
      add_number(row, outputs, fields);
    table_ += csv_row(fields);
  }

  const std::string& table() const { return table_; }

  /// "accuracy 0.9737, f1 0.9630, …"
  std::string quality() const {
    auto text = std::vector<std::string>();
    const auto metrics = about_.schema.has_labels() ? labels_.metrics() : numbers_.metrics();
    if (about_.schema.has_labels())
      text.push_back(fmt::format("accuracy {:.4f}", static_cast<double>(labels_.right()) /
                                                        static_cast<double>(unseen_.data->size())));
    for (const auto& [name, value] : metrics) text.push_back(fmt::format("{} {:.4f}", name, value));
    return fmt::format("{}", fmt::join(text, ", "));
  }

 private:
  void add_label(std::size_t row, std::span<const float> outputs, std::vector<std::string>& fields) {
    const auto shares = probabilities_of(outputs, about_.loss);
    const auto said = std::ranges::max_element(shares) - shares.begin();
    fields.push_back(about_.schema.classes[static_cast<std::size_t>(said)]);
    fields.push_back(fmt::format("{:.6g}", shares[static_cast<std::size_t>(said)]));
    if (all_)
      for (const auto share : shares) fields.push_back(fmt::format("{:.6g}", share));
    if (!unseen_.has_target) return;
    const auto right = unseen_.data->label(row);
    fields.push_back(about_.schema.classes[static_cast<std::size_t>(right)]);
    const auto score = shares.size() == 2 ? std::vector{static_cast<float>(shares[1])} : std::vector<float>();
    labels_.add(std::span(&right, 1), std::span(&said, 1), score);
  }

  void add_number(std::size_t row, std::span<const float> outputs, std::vector<std::string>& fields) {
    fields.push_back(fmt::format("{}", outputs[0]));
    if (!unseen_.has_target) return;
    const auto right = unseen_.data->target(row);
    fields.push_back(fmt::format("{}", right));
    numbers_.add(std::span(&right, 1), outputs);
  }

  const About& about_;
  const UnseenData& unseen_;
  bool all_;
  std::string table_;
  LabelQuality labels_;
  NumberQuality numbers_;
};

Result<void> carry_out(const PredictRequest& request) {
  auto error = std::error_code();
  const auto file = fs::is_directory(request.model, error) ? request.model / "model.pt" : request.model;
  if (!fs::exists(file, error))
    return fail(ec::bad_data, file.string() + " does not exist; a run writes its model.pt when it ends");
  auto predictor = load_predictor(file);
  if (!predictor) return tl::unexpected(predictor.error());
  auto about = parse_about((*predictor)->about(), file);
  if (!about) return tl::unexpected(about.error());
  take_kind_of(request.data, about->schema);
  const auto unseen = load_unseen(request.data, about->schema);
  if (!unseen) return tl::unexpected(unseen.error());
  const auto outputs = (*predictor)->outputs(*unseen->data);
  if (!outputs) return tl::unexpected(outputs.error());
  const auto samples = unseen->data->size();
  const auto width = outputs->size() / samples;
  const auto wanted = about->loss == LossName::cross_entropy ? about->schema.class_count() : 1;
  if (width != wanted)
    return fail(ec::bad_data, fmt::format("{}: the model gives {} outputs for each sample, expected {}",
                                          file.string(), width, wanted));
  auto answers = Answers(*about, *unseen, request.probabilities);
  for (auto row = std::size_t{0}; row < samples; ++row)
    answers.add(row, std::span(*outputs).subspan(row * width, width));
  if (request.out) {
    if (auto ok = write_atomically(*request.out, answers.table()); !ok) return ok;
  } else {
    std::fwrite(answers.table().data(), 1, answers.table().size(), stdout);
  }
  const auto compared = unseen->has_target ? ": " + answers.quality() : "";
  std::fprintf(stderr, "%zu samples%s\n", samples, compared.c_str());
  return {};
}
#else
Result<void> carry_out(const PredictRequest&) {
  return fail(ec::bad_config, "predict needs torch; this program was built without (-DFL_WITH_TORCH=ON)");
}
#endif

}  // namespace

ExitCode predict(const PredictRequest& request) {
  const auto done = carry_out(request);
  if (done) return ExitCode::done;
  spdlog::error("{}", done.error().text);
  const auto disk = done.error().code == ec::io_failed || done.error().code == ec::store_full;
  return disk ? ExitCode::failed : ExitCode::refused;
}

}  // namespace fl
