// A model of the user's own: a TorchScript module, as `torch.jit.script(module).save(file)` writes it.
//
// Its parameters and float buffers become the layout, by their names. A job works on a copy of the module
// whose tensors are replaced by those that it is bound to, so gradients and batch norm's running means arrive
// where the model's numbers are. Integer buffers (batch norm's count of batches) stay the file's: a mean of
// counts means nothing.
#include <torch/csrc/jit/passes/inliner.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/script.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "learning/torch/loss.hpp"
#include "learning/torch/network.hpp"

namespace fl {

namespace {

using torch::jit::Module;

/// A tensor of the module: `name` in the object that owns it.
struct Slot {
  std::string path;  ///< "encoder.0.weight"
  bool is_parameter = false;
  at::Tensor value;
};

/// All parameters and buffers, in the module's order.
std::vector<Slot> slots_of(const Module& module) {
  auto slots = std::vector<Slot>();
  for (const auto& named : module.named_parameters()) slots.push_back({named.name, true, named.value});
  for (const auto& named : module.named_buffers()) slots.push_back({named.name, false, named.value});
  return slots;
}

/// Puts a tensor in the place of another.
void replace(const Module& module, const std::string& path, const at::Tensor& tensor) {
  auto owner = module;
  auto rest = path;
  for (auto dot = rest.find('.'); dot != std::string::npos; dot = rest.find('.')) {
    owner = owner.attr(rest.substr(0, dot)).toModule();
    rest = rest.substr(dot + 1);
  }
  owner.setattr(rest, tensor);
}

/// Whether a forward pass draws random numbers: dropout and the like.
bool draws_random(const Module& module) {
  static const auto kDrawing =
      std::set<std::string>{"dropout",   "alpha_dropout", "feature_dropout", "bernoulli", "rand",  "randn",
                            "rand_like", "randn_like",    "multinomial",     "normal",    "rrelu", "uniform",
                            "lstm",      "gru",           "rnn_tanh",        "rnn_relu"};
  auto graph = module.get_method("forward").graph()->copy();
  torch::jit::Inline(*graph);
  const auto in_block = [](const auto& self, const torch::jit::Block* block) -> bool {
    return std::ranges::any_of(block->nodes(), [&](const torch::jit::Node* node) {
      auto name = std::string(node->kind().toUnqualString());
      while (name.ends_with('_')) name.pop_back();
      if (kDrawing.contains(name)) return true;
      return std::ranges::any_of(node->blocks(),
                                 [&](const torch::jit::Block* inner) { return self(self, inner); });
    });
  };
  return in_block(in_block, graph->block());
}

/// torch's dropout draws from one generator of the process: whoever sets its seed is to be alone until it has
/// drawn.
std::mutex& generator_mutex() {
  static std::mutex mutex;
  return mutex;
}

class BoundScript final : public BoundNetwork {
 public:
  BoundScript(Module module, std::vector<std::pair<at::Tensor, at::Tensor>> own, bool draws)
      : module_(std::move(module)), own_(std::move(own)), draws_(draws) {
    module_.eval();
  }

  at::Tensor forward(const at::Tensor& x, const PassMode& mode) override {
    // The optimising executor would compute otherwise once it knows the shapes: not the same bits twice.
    const auto plain = torch::jit::GraphOptimizerEnabledGuard(false);
    if (std::exchange(training_, mode.training) != mode.training) module_.train(mode.training);
    if (!mode.training || !draws_) return module_.forward({x}).toTensor();
    const auto lock = std::scoped_lock(generator_mutex());
    torch::manual_seed(mode.seed);
    return module_.forward({x}).toTensor();
  }

  void begin() override {
    const auto no_grad = at::NoGradGuard();
    for (const auto& [mine, first] : own_) mine.copy_(first);
  }

 private:
  Module module_;
  std::vector<std::pair<at::Tensor, at::Tensor>> own_;  ///< buffers outside the layout, and how they begin
  bool draws_;
  bool training_ = false;
};

class ScriptNetwork final : public Network {
 public:
  /// `entries` of the layout: where their tensors are in the module, aliases included.
  using Places = std::vector<std::vector<std::string>>;

  ScriptNetwork(Module module, LayoutPtr layout, Places places, std::vector<std::string> own,
                std::vector<std::int64_t> sample_shape, std::int64_t outputs)
      : Network(std::move(layout), std::move(sample_shape), outputs),
        module_(std::move(module)),
        places_(std::move(places)),
        own_(std::move(own)),
        draws_(draws_random(module_)) {}

  /// Those in the file, whatever the seed.
  Parameters initial_parameters(std::uint64_t) const override {
    const auto no_grad = at::NoGradGuard();
    auto parameters = Parameters(layout());
    const auto views = views_of(tensor_over(parameters.values()), *layout());
    const auto values = values_by_path(module_);
    for (std::size_t i = 0; i < views.size(); ++i) views[i].copy_(values.at(places_[i].front()));
    return parameters;
  }

  std::unique_ptr<BoundNetwork> bind(std::vector<at::Tensor> tensors) const override {
    auto copy = module_.deepcopy();
    const auto device = tensors.empty() ? at::Device(at::kCPU) : tensors.front().device();
    copy.to(device);
    for (std::size_t i = 0; i < tensors.size(); ++i)
      for (const auto& path : places_[i]) replace(copy, path, tensors[i]);
    const auto values = values_by_path(copy);
    auto own = std::vector<std::pair<at::Tensor, at::Tensor>>();
    for (const auto& path : own_) own.emplace_back(values.at(path), values.at(path).clone());
    return std::make_unique<BoundScript>(std::move(copy), std::move(own), draws_);
  }

  void save(const Parameters& model, const std::filesystem::path& file) const override {
    auto copy = module_.deepcopy();
    const auto views = views_of(tensor_over(model.values()), *layout());
    const auto values = values_by_path(copy);
    {
      const auto no_grad = at::NoGradGuard();
      for (std::size_t i = 0; i < views.size(); ++i) values.at(places_[i].front()).copy_(views[i]);
    }
    copy.eval();
    copy.save(file.string());
  }

 private:
  static std::map<std::string, at::Tensor> values_by_path(const Module& module) {
    auto values = std::map<std::string, at::Tensor>();
    for (auto& slot : slots_of(module)) values.emplace(std::move(slot.path), std::move(slot.value));
    return values;
  }

  Module module_;
  Places places_;
  std::vector<std::string> own_;
  bool draws_;
};

/// What a model has to answer to two samples.
Result<void> check_outputs(Network& network, const TrainerOptions& options, const std::string& file) {
  const auto no_grad = at::NoGradGuard();
  const auto initial = network.initial_parameters(0);
  auto shape = std::vector<std::int64_t>{2};
  shape.insert(shape.end(), options.sample_shape.begin(), options.sample_shape.end());
  const auto bound = network.bind(views_of(tensor_over(initial.values()).clone(), *network.layout()));
  auto outputs = at::Tensor();
  try {
    outputs = bound->forward(at::zeros(shape, at::kFloat), {});
  } catch (const std::exception& error) {
    const auto* const torch_error = dynamic_cast<const c10::Error*>(&error);
    return fail(ec::bad_config, file + ": the model cannot take samples of shape " +
                                    shape_text(options.sample_shape) + " (data.name decides it): " +
                                    (torch_error ? torch_error->what_without_backtrace() : error.what()));
  }
  const auto wanted = network.outputs();
  const auto found = outputs.sizes().vec();
  const auto flat = wanted == 1 && found == std::vector<std::int64_t>{2};
  if (flat || found == std::vector<std::int64_t>{2, wanted}) return {};
  const auto what = options.loss == LossName::cross_entropy
                        ? std::to_string(wanted) + " classes [N, " + std::to_string(wanted) + "]"
                        : "train.loss = \"" + to_string(options.loss) + "\" [N, 1]";
  return fail(ec::bad_config, file + ": the model answers 2 samples with outputs of shape " +
                                  shape_text(found) + ", which does not fit " + what);
}

}  // namespace

Result<NetworkPtr> load_network(const TrainerOptions& options) {
  if (auto ok = check_classes(options); !ok) return tl::unexpected(ok.error());
  const auto file = "model.file = \"" + options.model_file.string() + "\"";
  if (options.precision != "fp32")
    return fail(ec::bad_config, file + ": train.precision = \"" + options.precision +
                                    "\" is for the built-in models; use \"fp32\"");
  if (auto readable = model_identity(options); !readable) return tl::unexpected(readable.error());
  auto module = Module();
  try {
    module = torch::jit::load(options.model_file.string(), at::kCPU);
  } catch (const std::exception& error) {
    const auto* const torch_error = dynamic_cast<const c10::Error*>(&error);
    return fail(ec::bad_config,
                file +
                    " cannot be read as TorchScript, as torch.jit.script(module).save(file) writes "
                    "it: " +
                    (torch_error ? torch_error->what_without_backtrace() : error.what()));
  }
  if (!module.find_method("forward")) return fail(ec::bad_config, file + ": the module has no forward(x)");
  auto layout = std::make_shared<Layout>();
  auto places = ScriptNetwork::Places();
  auto own = std::vector<std::string>();
  auto seen = std::map<const void*, std::size_t>();
  for (const auto& slot : slots_of(module)) {
    if (!slot.is_parameter && !slot.value.is_floating_point()) {
      own.push_back(slot.path);
      continue;
    }
    if (slot.value.scalar_type() != at::kFloat)
      return fail(ec::bad_config, file + ": \"" + slot.path + "\" is of type " +
                                      toString(slot.value.scalar_type()) +
                                      "; models are trained in float32: save it after module.float()");
    const auto known = slot.value.numel() > 0 ? seen.find(slot.value.data_ptr()) : seen.end();
    if (known != seen.end()) {  // tied weights
      places[known->second].push_back(slot.path);
      continue;
    }
    seen.emplace(slot.value.data_ptr(), places.size());
    const auto trained = slot.is_parameter && slot.value.requires_grad();
    layout->add(slot.path, slot.value.sizes().vec(), trained ? EntryKind::trainable : EntryKind::buffer);
    places.push_back({slot.path});
  }
  if (std::ranges::none_of(layout->entries(),
                           [](const auto& entry) { return entry.kind == EntryKind::trainable; }))
    return fail(ec::bad_config, file + ": the module has no parameters to train (none with requires_grad)");
  auto network = std::make_shared<ScriptNetwork>(std::move(module), std::move(layout), std::move(places),
                                                 std::move(own), options.sample_shape, outputs_of(options));
  if (auto ok = check_outputs(*network, options, file); !ok) return tl::unexpected(ok.error());
  return network;
}

}  // namespace fl
