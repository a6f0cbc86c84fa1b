#include "learning/downloads.hpp"

#include <doctest/doctest.h>

#include <vector>

#include "learning/aggregation/aggregation.hpp"
#include "learning/random.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/unit/learning/float_sources.hpp"

using namespace fl;
using fl::testing::flat_layout;

namespace {

constexpr std::size_t kSize = 3000;

/// A server that makes versions out of random steps, and what clients get of it.
class Server {
 public:
  explicit Server(const std::string& codec, std::size_t window = 4) {
    auto options = parse_download_codec(codec).value();
    options.window = window;
    downloads_ = std::make_shared<Downloads>(options);
    auto strategy = StrategyOptions();
    strategy.name = StrategyName::fedbuff;
    strategy.buffer_size = 1;
    strategy.publishing.codec = options.lossy;
    aggregation_.emplace(strategy, ServerOptimizerOptions(), beginning());
    publish();
  }

  static ParametersPtr beginning() {
    auto random = RandomStream(77);
    auto values = std::vector<float>(kSize);
    for (auto& value : values) value = static_cast<float>(random.normal());
    return testing::flat_model(values);
  }

  void step() {
    auto random = RandomStream(aggregation_->version());
    auto delta = std::vector<float>(kSize);
    for (auto& value : delta) value = static_cast<float>(0.01 * random.normal());
    for (std::size_t i = 0; i < kSize; ++i) steps_[i] += delta[i];
    const auto facts = UpdateFacts{0, aggregation_->version(), 1};
    REQUIRE(aggregation_->fold(facts, aggregation_->weigh(facts).value(), testing::in_memory(delta)));
    aggregation_->close();
    publish();
  }

  void publish() {
    model = std::make_shared<const PublishedModel>(aggregation_->version(), aggregation_->model());
    downloads_->add(model, aggregation_->delta());
  }

  /// What a client that holds `held` ends up with; bytes are added to `bytes`.
  ParametersPtr fetch(Version version, const ParametersPtr& held) {
    const auto hash = held ? values_hash_of(*held) : 0;
    const auto download = downloads_->get(model, version, hash).value();
    last_size = download.size();
    if (!download.blob) return held;
    auto receiver = ModelReceiver(model->layout(), download.size(), download.hash);
    auto bytes = std::vector<std::byte>(download.size());
    REQUIRE(download.blob->read(0, bytes));
    for (std::size_t begin = 0; begin < bytes.size(); begin += 700)
      REQUIRE(
          receiver.add(std::span(bytes).subspan(begin, std::min<std::size_t>(700, bytes.size() - begin))));
    auto parameters = receiver.finish(held);
    REQUIRE_MESSAGE(parameters.has_value(), (parameters ? "" : parameters.error().text));
    CHECK(values_hash_of(**parameters) == download.values_hash);
    return *parameters;
  }

  bool has(const ParametersPtr& parameters) const {
    return testing::same_bits(parameters->values(), aggregation_->model()->values());
  }

  Aggregation& aggregation() { return *aggregation_; }
  const std::vector<double>& steps() const { return steps_; }

  PublishedModelPtr model;
  std::uint64_t last_size = 0;

 private:
  DownloadsPtr downloads_;
  std::optional<Aggregation> aggregation_;
  std::vector<double> steps_ = std::vector<double>(kSize);
};

}  // namespace

TEST_SUITE("downloads") {
  TEST_CASE("a version that the client holds does not travel, whatever the codec") {
    for (const auto* codec : {"none", "xor", "int8", "top_k:0.1"}) {
      auto server = Server(codec);
      server.step();
      const auto held = server.fetch(0, nullptr);
      CHECK(server.has(held));
      CHECK(server.last_size > 0);
      CHECK(server.fetch(1, held) == held);
      CHECK(server.last_size == 0);
    }
  }

  TEST_CASE("after any chain of changes the client holds the version bit for bit") {
    for (const auto* codec : {"xor", "int8", "int4+zstd", "top_k:0.05+int8", "sign", "bf16"})
      for (const auto behind : {1, 2, 4}) {
        CAPTURE(codec);
        CAPTURE(behind);
        auto server = Server(codec);
        auto held = server.fetch(0, nullptr);
        const auto whole = server.model->size();
        for (auto version = Version{0}; version < 24; version += static_cast<Version>(behind)) {
          for (auto i = 0; i < behind; ++i) server.step();
          held = server.fetch(version, held);
          REQUIRE(server.has(held));
          CHECK(server.last_size < whole);
        }
      }
  }

  TEST_CASE("who holds something else, or too old a version, gets the whole model") {
    for (const auto* codec : {"xor", "top_k:0.01+int8"}) {
      CAPTURE(codec);
      auto server = Server(codec, 2);
      server.step();
      const auto old = server.fetch(0, nullptr);
      const auto small = [&] { return server.last_size < server.model->layout()->size_bytes() * 9 / 10; };
      server.step();
      server.step();
      CHECK(server.has(server.fetch(1, old)));
      server.step();
      CHECK(server.has(server.fetch(1, old)));
      CHECK_FALSE(small());
      // The same version number, other bits: a run that went back to a snapshot.
      auto other = std::make_shared<Parameters>(old->clone());
      other->values()[7] += 1;
      CHECK(server.has(server.fetch(3, other)));
      CHECK_FALSE(small());
    }
  }

  TEST_CASE("what a lossy codec leaves out joins the next step: nothing is lost") {
    for (const auto* codec : {"top_k:0.05+int8", "int4", "sign"}) {
      CAPTURE(codec);
      auto server = Server(codec);
      for (auto i = 0; i < 30; ++i) server.step();
      const auto state = server.aggregation().state();
      REQUIRE(state.residual.size() == kSize);
      const auto beginning = Server::beginning();
      for (std::size_t i = 0; i < kSize; ++i)
        REQUIRE(state.model->values()[i] + state.residual.values()[i] ==
                doctest::Approx(beginning->values()[i] + server.steps()[i]).epsilon(1e-4).scale(1));
    }
  }

  TEST_CASE("a server that goes on from its state makes the same versions") {
    auto server = Server("top_k:0.05+int8");
    for (auto i = 0; i < 5; ++i) server.step();
    auto restored =
        Aggregation::restore(server.aggregation().strategy(), {}, server.aggregation().state()).value();
    auto delta = std::vector<float>(kSize, 0.5f);
    delta[3] = 2;
    for (auto* aggregation : {&server.aggregation(), &restored}) {
      const auto facts = UpdateFacts{0, 5, 1};
      REQUIRE(aggregation->fold(facts, aggregation->weigh(facts).value(), testing::in_memory(delta)));
      aggregation->close();
    }
    CHECK(testing::same_bits(restored.model()->values(), server.aggregation().model()->values()));
  }

  TEST_CASE("a change that does not fit what is held is refused") {
    auto server = Server("xor");
    const auto held = server.fetch(0, nullptr);
    server.step();
    const auto hash = values_hash_of(*held);
    auto downloads = Downloads(parse_download_codec("xor").value());
    const auto before = std::make_shared<const PublishedModel>(0, held);
    downloads.add(before, nullptr);
    downloads.add(server.model, nullptr);
    const auto download = downloads.get(server.model, 0, hash).value();
    auto bytes = std::vector<std::byte>(download.size());
    REQUIRE(download.blob->read(0, bytes));
    auto receiver = ModelReceiver(server.model->layout(), bytes.size(), 0);
    REQUIRE(receiver.add(bytes));
    CHECK(receiver.changes_held());
    CHECK(receiver.finish(nullptr).error().code == ec::corrupt_data);
  }

  TEST_CASE("codecs that do not suit downloads are refused") {
    for (const auto* codec : {"random_k:0.1", "qsgd", "zstd", "prune", "gzip", "xor+zstd"}) {
      CAPTURE(codec);
      CHECK(parse_download_codec(codec).error().code == ec::bad_config);
    }
  }
}
