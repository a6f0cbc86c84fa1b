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
#include <optional>
#include <set>
#include <utility>

#include "learning/torch/error_text.hpp"
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

/// Puts tensors in the place of others, by where their numbers are, in all lists of the module: an RNN
/// computes with such a list of its weights.
void replace_in_lists(const Module& module, const std::map<const void*, at::Tensor>& by_place) {
  for (const auto& part : module.modules()) {
    const auto object = part._ivalue();
    for (std::size_t slot = 0; slot < object->slots().size(); ++slot) {
      const auto& value = object->getSlot(slot);
      if (!value.isTensorList()) continue;
      auto list = value.toTensorList();
      for (std::size_t i = 0; i < list.size(); ++i) {
        const auto found = by_place.find(list.get(i).data_ptr());
        if (found != by_place.end()) list.set(i, found->second);
      }
    }
  }
}

/// Calls `visit` for every node of the forward pass, those of functions that it calls included.
template <class Visit>
void for_each_node(const Module& module, Visit visit) {
  auto graph = module.get_method("forward").graph()->copy();
  torch::jit::Inline(*graph);
  const auto in_block = [&visit](const auto& self, const torch::jit::Block* block) -> void {
    for (const auto* node : block->nodes()) {
      visit(*node);
      for (const auto* inner : node->blocks()) self(self, inner);
      if (node->hasAttribute(torch::jit::attr::Subgraph))
        self(self, node->g(torch::jit::attr::Subgraph)->block());
    }
  };
  in_block(in_block, graph->block());
}

/// Whether a forward pass draws random numbers: dropout and the like.
bool draws_random(const Module& module) {
  static const auto kDrawing = std::set<std::string>{"dropout",
                                                     "alpha_dropout",
                                                     "feature_dropout",
                                                     "feature_alpha_dropout",
                                                     "native_dropout",
                                                     "_scaled_dot_product_attention",
                                                     "scaled_dot_product_attention",
                                                     "bernoulli",
                                                     "rand",
                                                     "randn",
                                                     "rand_like",
                                                     "randn_like",
                                                     "randint",
                                                     "randint_like",
                                                     "randperm",
                                                     "multinomial",
                                                     "normal",
                                                     "log_normal",
                                                     "exponential",
                                                     "poisson",
                                                     "geometric",
                                                     "cauchy",
                                                     "rrelu",
                                                     "rrelu_with_noise",
                                                     "uniform",
                                                     "lstm",
                                                     "gru",
                                                     "rnn_tanh",
                                                     "rnn_relu"};
  auto draws = false;
  for_each_node(module, [&](const torch::jit::Node& node) {
    auto name = std::string(node.kind().toUnqualString());
    while (name.ends_with('_')) name.pop_back();
    draws = draws || kDrawing.contains(name);
  });
  return draws;
}

/// What the forward pass assigns (self.x = …) and would carry from one client to the next. Batch norm may
/// count.
std::optional<std::string> assigned_attribute(const Module& module) {
  auto assigned = std::optional<std::string>();
  for_each_node(module, [&](const torch::jit::Node& node) {
    if (node.kind() != torch::jit::prim::SetAttr) return;
    const auto& name = node.s(torch::jit::attr::name);
    if (name != "num_batches_tracked") assigned = name;
  });
  return assigned;
}

/// torch's dropout draws from one generator of the process: whoever sets its seed is to be alone until it has
/// drawn.
std::mutex& generator_mutex() {
  static std::mutex mutex;
  return mutex;
}

class BoundScript final : public BoundNetwork {
 public:
  /// `own`: paths of buffers outside the layout, and how they begin.
  BoundScript(Module module, std::vector<std::pair<std::string, at::Tensor>> own, bool draws)
      : module_(std::move(module)), own_(std::move(own)), draws_(draws) {
    module_.eval();
  }

  at::Tensor forward(const at::Tensor& x, const PassMode& mode) override {
    // The optimising executor would compute otherwise once it knows the shapes: not the same bits twice.
    const auto plain = torch::jit::GraphOptimizerEnabledGuard(false);
    if (std::exchange(training_, mode.training) != mode.training) module_.train(mode.training);
    if (!draws_) return module_.forward({x}).toTensor();
    const auto lock = std::scoped_lock(generator_mutex());
    torch::manual_seed(mode.seed);
    return module_.forward({x}).toTensor();
  }

  void begin() override {
    for (const auto& [path, first] : own_) replace(module_, path, first.clone());
  }

 private:
  Module module_;
  std::vector<std::pair<std::string, at::Tensor>> own_;
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
    auto values = values_by_path(copy);
    auto own = std::vector<std::pair<std::string, at::Tensor>>();
    for (const auto& path : own_) own.emplace_back(path, values.at(path).clone());
    auto by_place = std::map<const void*, at::Tensor>();
    for (std::size_t i = 0; i < tensors.size(); ++i)
      if (const auto& old = values.at(places_[i].front()); old.numel() > 0)
        by_place[old.data_ptr()] = tensors[i];
    replace_in_lists(copy, by_place);
    for (std::size_t i = 0; i < tensors.size(); ++i)
      for (const auto& path : places_[i]) replace(copy, path, tensors[i]);
    return std::make_unique<BoundScript>(std::move(copy), std::move(own), draws_);
  }

  bool wants_pairs() const override { return true; }

  Module scripted(const Parameters& model) const override {
    auto copy = module_.deepcopy();
    const auto views = views_of(tensor_over(model.values()), *layout());
    const auto values = values_by_path(copy);
    {
      const auto no_grad = at::NoGradGuard();
      for (std::size_t i = 0; i < views.size(); ++i) values.at(places_[i].front()).copy_(views[i]);
    }
    copy.eval();
    return copy;
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
Result<void> check_outputs(const Network& network, const TrainerOptions& options, const std::string& file) {
  const auto no_grad = at::NoGradGuard();
  const auto initial = network.initial_parameters(0);
  const auto outputs_for = [&](std::int64_t samples, bool training) {
    auto shape = std::vector<std::int64_t>{samples};
    shape.insert(shape.end(), options.sample_shape.begin(), options.sample_shape.end());
    const auto bound = network.bind(views_of(tensor_over(initial.values()).clone(), *network.layout()));
    return bound->forward(at::zeros(shape, at::kFloat), {training, 0}).sizes().vec();
  };
  auto found = std::vector<std::int64_t>();
  auto one = std::vector<std::int64_t>();
  try {
    found = outputs_for(2, true);
    one = outputs_for(1, false);
    found = outputs_for(2, false);
  } catch (const std::exception& error) {
    return fail(ec::bad_config, file + ": the model cannot take samples of shape " +
                                    shape_text(options.sample_shape) +
                                    " (data.name decides it): " + text_of(error));
  }
  const auto wanted = network.outputs();
  const auto fits = [wanted](const std::vector<std::int64_t>& shape, std::int64_t samples) {
    using Shape = std::vector<std::int64_t>;
    return shape == Shape{samples, wanted} || (wanted == 1 && shape == Shape{samples});
  };
  if (fits(found, 2) && fits(one, 1)) return {};
  if (fits(found, 2))
    return fail(ec::bad_config, file + ": the model answers 1 sample with outputs of shape " +
                                    shape_text(one) +
                                    ": its batch dimension is lost (squeeze without a dimension?)");
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
    return fail(ec::bad_config,
                file +
                    " cannot be read as TorchScript, as torch.jit.script(module).save(file) writes "
                    "it: " +
                    text_of(error));
  }
  if (!module.find_method("forward")) return fail(ec::bad_config, file + ": the module has no forward(x)");
  if (const auto name = assigned_attribute(module))
    return fail(ec::bad_config,
                file + ": forward assigns self." + *name +
                    ", which would pass from one client to the next; register it as a buffer and change "
                    "it in place, or do without");
  auto layout = std::make_shared<Layout>();
  auto places = ScriptNetwork::Places();
  auto own = std::vector<std::string>();
  auto kept = std::vector<at::Tensor>();                // of the entries, in memory of their own
  auto by_place = std::map<const void*, at::Tensor>();  // the same by where they were
  auto entries = std::vector<at::Tensor>();             // as they were
  for (const auto& slot : slots_of(module)) {
    if (!slot.is_parameter && !slot.value.is_floating_point()) {
      own.push_back(slot.path);
      continue;
    }
    if (slot.value.scalar_type() != at::kFloat)
      return fail(ec::bad_config, file + ": \"" + slot.path + "\" is of type " +
                                      toString(slot.value.scalar_type()) +
                                      "; models are trained in float32: save it after module.float()");
    const auto same = std::ranges::find_if(entries, [&](const at::Tensor& other) {
      return slot.value.numel() > 0 && other.data_ptr() == slot.value.data_ptr() &&
             other.sizes() == slot.value.sizes() && other.strides() == slot.value.strides();
    });
    if (same != entries.end()) {  // tied weights
      places[static_cast<std::size_t>(same - entries.begin())].push_back(slot.path);
      continue;
    }
    if (slot.value.numel() > 0 && by_place.contains(slot.value.data_ptr()))
      return fail(ec::bad_config,
                  file + ": \"" + slot.path +
                      "\" is another view of a tensor that the module has under another name; tie "
                      "weights by one name for both, or clone it");
    const auto trained = slot.is_parameter && slot.value.requires_grad();
    layout->add(slot.path, slot.value.sizes().vec(), trained ? EntryKind::trainable : EntryKind::buffer);
    places.push_back({slot.path});
    entries.push_back(slot.value);
    kept.push_back(slot.value.detach().clone(at::MemoryFormat::Contiguous).set_requires_grad(trained));
    if (slot.value.numel() > 0) by_place[slot.value.data_ptr()] = kept.back();
  }
  // Slices of one memory would become one tensor when the module is copied.
  replace_in_lists(module, by_place);
  for (std::size_t i = 0; i < kept.size(); ++i)
    for (const auto& path : places[i]) replace(module, path, kept[i]);
  if (std::ranges::none_of(layout->entries(),
                           [](const auto& entry) { return entry.kind == EntryKind::trainable; }))
    return fail(ec::bad_config, file + ": the module has no parameters to train (none with requires_grad)");
  auto network = std::make_shared<ScriptNetwork>(std::move(module), std::move(layout), std::move(places),
                                                 std::move(own), options.sample_shape, outputs_of(options));
  if (auto ok = check_outputs(*network, options, file); !ok) return tl::unexpected(ok.error());
  return network;
}

}  // namespace fl
