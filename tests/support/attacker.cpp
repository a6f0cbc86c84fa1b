// A client that misbehaves, as a real process: joins an aggregator and attacks it in one way until it is
// quarantined.
//
//   attacker PORT NAME ATTACK [CONFIG]
//   attacker PORT NAME record CONFIG
//   attacker PORT NAME replay CONFIG CHALLENGE SIGNATURE
//
// Prints the name of each refusal. Ends with 0 when its name is quarantined, with 3 when patience ends
// before. `record` joins once with the identity of its configuration and prints the proof that it gave, in
// hexadecimal; `replay` joins with a proof that was recorded, and ends with 0 when it is refused.
#include <spdlog/spdlog.h>

#include <sodium.h>

#include <caf/io/all.hpp>
#include <caf/openssl/all.hpp>
#include <cmath>
#include <cstdio>
#include <limits>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "actors/actors.hpp"
#include "learning/trainer.hpp"
#include "runtime/actor_system.hpp"
#include "runtime/config.hpp"
#include "runtime/credentials.hpp"

namespace fl {

namespace {

constexpr auto kPatience = std::chrono::seconds(60);
constexpr auto kAnswer = std::chrono::seconds(5);

std::string hex(const std::string& bytes) {
  auto text = std::string(2 * bytes.size() + 1, '\0');
  ::sodium_bin2hex(text.data(), text.size(), reinterpret_cast<const unsigned char*>(bytes.data()),
                   bytes.size());
  text.pop_back();
  return text;
}

std::string unhex(const std::string& text) {
  auto bytes = std::string(text.size() / 2, '\0');
  ::sodium_hex2bin(reinterpret_cast<unsigned char*>(bytes.data()), bytes.size(), text.data(), text.size(),
                   nullptr, nullptr, nullptr);
  return bytes;
}

client_actor::behavior_type listener(client_actor::pointer) {
  return {[](nudge_atom) {}, [](revoke_atom, TaskId, const std::string&) {},
          [](finish_atom, const std::string&) {}};
}

class Attacker {
 public:
  Attacker(caf::actor_system& system, gateway_actor gateway, std::string name, std::string attack)
      : self_(system),
        client_(system.spawn(listener)),
        gateway_(std::move(gateway)),
        name_(std::move(name)),
        attack_(std::move(attack)) {}

  int run() {
    const auto until = std::chrono::steady_clock::now() + kPatience;
    while (std::chrono::steady_clock::now() < until) {
      if (!session_ && !join()) {
        if (quarantined_) return 0;
        continue;
      }
      strike();
    }
    return 3;
  }

  /// Joins with a proof of the name; prints it.
  int record(const SigningKey& key) {
    const auto nonce = make_nonce();
    auto challenge = std::optional<Challenge>();
    self_
        ->request(gateway_, kAnswer, Introduction{kProtocolVersion, name_, nonce},
                  caf::actor_cast<caf::actor>(client_))
        .receive([&](const Challenge& given) { challenge = given; },
                 [&](const caf::error& error) { refused(error); });
    if (!challenge) return 1;
    const auto transcript = HelloTranscript{name_, nonce, challenge->nonce, to_string(client_.node()),
                                            to_string(gateway_.node())};
    proof_ = {challenge->nonce, key.sign(transcript.signed_by_client())};
    if (!join()) return 1;
    std::printf("%s %s\n", hex(proof_.challenge).c_str(), hex(proof_.signature).c_str());
    return 0;
  }

  /// Joins with a proof that somebody else gave.
  int replay(const std::string& challenge, const std::string& signature) {
    proof_ = {unhex(challenge), unhex(signature)};
    return join() ? 1 : 0;
  }

  ~Attacker() { caf::anon_send_exit(client_, caf::exit_reason::user_shutdown); }

 private:
  /// Asks and waits; a refusal is printed. A session that is gone is joined anew.
  template <class Answer, class... Args>
  std::optional<Answer> ask(const Args&... args) {
    auto answer = std::optional<Answer>();
    self_->request(session_, kAnswer, args...)
        .receive([&](const Answer& value) { answer = value; },
                 [&](const caf::error& error) { refused(error); });
    return answer;
  }

  void refused(const caf::error& error) {
    const auto reason = from_caf(error);
    // Requests to a session on the other side that has ended run into their timeout.
    if (reason.code == ec::unreachable || reason.code == ec::unavailable || reason.code == ec::internal)
      session_ = nullptr;
    std::printf("%s %s\n", std::string(name_of(reason.code)).c_str(), reason.text.c_str());
  }

  bool join() {
    session_ = nullptr;
    self_
        ->request(gateway_, kAnswer, Hello{kProtocolVersion, "attacker", name_, proof_},
                  caf::actor_cast<caf::actor>(client_))
        .receive(
            [&](const Welcome& terms, const caf::actor& given) {
              welcome_ = terms;
              session_ = caf::actor_cast<session_actor>(given);
            },
            [&](const caf::error& error) {
              quarantined_ = from_caf(error).code == ec::quarantined;
              refused(error);
            });
    return session_ != nullptr;
  }

  /// One round of the attack.
  void strike() {
    if (attack_ == "hellos") {
      join();
      return;
    }
    if (attack_ == "histogram") {
      ask<Assignment>(Ready{1, 0, std::vector<std::uint64_t>(100, 7)});
      return;
    }
    if (attack_ == "requests") {
      for (auto i = 0; i < 100'000; ++i)
        caf::anon_send(session_, abandon_atom_v, TaskId{1}, std::string("flood"));
      ask<Assignment>(Ready{1, 0, {}});
      return;
    }
    const auto assignment = ask<Assignment>(Ready{1, 0, {}});
    if (!assignment || assignment->kind != Assignment::Kind::task) return;
    const auto& task = assignment->task;
    if (attack_ == "fetches") {
      // Never the whole: once a client has that, its lease holds no model any more.
      while (ask<Chunk>(fetch_atom_v, task.id, std::uint64_t{0}, 1u << 14)) continue;
    } else if (attack_ == "offers") {
      for (auto hash = std::uint64_t{1}; ask<std::uint64_t>(UploadOffer{task.id, task.epoch, 1 << 20, hash});)
        ++hash;
    } else if (attack_ == "length") {
      ask<std::uint64_t>(UploadOffer{task.id, task.epoch, std::uint64_t{1} << 50, 1});
    } else if (attack_ == "chunk") {
      const auto bytes = std::vector<std::byte>(std::size_t{4} << 20);
      if (ask<std::uint64_t>(UploadOffer{task.id, task.epoch, 1 << 20, 1}))
        ask<std::uint64_t>(Chunk{task.id, 0, Bytes(bytes)});
    } else {
      deliver(task, blob_for(task));
    }
  }

  void deliver(const Task& task, const ByteSourcePtr& blob) {
    if (!ask<std::uint64_t>(UploadOffer{task.id, task.epoch, blob->size(), hash_of(*blob).value()})) return;
    for (auto offset = std::uint64_t{0}; offset < blob->size();) {
      const auto length = std::min<std::uint64_t>(1u << 18, blob->size() - offset);
      if (!ask<std::uint64_t>(Chunk{task.id, offset, blob->part(offset, length).value()})) return;
      offset += length;
    }
    if (const auto receipt = ask<Receipt>(commit_atom_v, task.id); receipt && !receipt->accepted())
      std::printf("%s %s\n", std::string(name_of(receipt->code)).c_str(), receipt->text.c_str());
  }

  ByteSourcePtr blob_for(const Task& task) {
    if (attack_ == "garbage") {
      auto buffer = AlignedBuffer(10'000);
      for (auto i = std::size_t{0}; i < buffer.size(); ++i) buffer.data()[i] = static_cast<std::byte>(i * 31);
      return std::make_shared<const MemorySource>(std::move(buffer));
    }
    auto model = TrainerOptions();
    model.backend = "echo";
    model.model = "flat";
    model.model_parameters = welcome_.model_parameters + (attack_ == "layout" ? 1 : 0);
    const auto layout = make_echo_trainer(model).value()->layout();
    auto info = UpdateInfo();
    info.task = task.id;
    info.epoch = task.epoch;
    info.client = task.client;
    info.base = task.base;
    info.samples = attack_ == "samples" ? 1'000'000 : 1;
    auto blob = make_update_blob(info, *layout, false);
    std::ranges::fill(blob.values(), attack_ == "norm" ? 1e6f : 1e-6f);
    if (attack_ == "nan") blob.values().back() = std::numeric_limits<float>::quiet_NaN();
    return std::make_shared<const MemorySource>(std::move(blob.buffer));
  }

  caf::scoped_actor self_;
  client_actor client_;
  gateway_actor gateway_;
  session_actor session_;
  std::string name_;
  std::string attack_;
  Proof proof_;
  Welcome welcome_;
  bool quarantined_ = false;
};

}  // namespace

}  // namespace fl

int main(int argc, char** argv) {
  const auto words = std::vector<std::string>(argv + 1, argv + argc);
  if (words.size() < 3) return 2;
  const auto& attack = words[2];
  if (words.size() < (attack == "record" ? 4u : attack == "replay" ? 6u : 3u)) return 2;
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  auto net = fl::NetOptions();
  if (words.size() > 3) net = fl::load_config(fl::ConfigSources{{words[3]}, {}}).value().net;
  auto config = fl::NodeSystemConfig(net, true);
  auto system = caf::actor_system(config);
  fl::close_remote_services(system);
  const auto port = static_cast<std::uint16_t>(std::stoi(words[0]));
  auto gateway = net.tls() ? caf::openssl::remote_actor<fl::gateway_actor>(system, "127.0.0.1", port)
                           : system.middleman().remote_actor<fl::gateway_actor>("127.0.0.1", port);
  if (!gateway) {
    std::puts("there is no gateway");
    return 1;
  }
  auto attacker = fl::Attacker(system, *gateway, words[1], attack);
  if (attack == "record") return attacker.record(fl::load_credentials(net).value().identity.value());
  if (attack == "replay") return attacker.replay(words[4], words[5]);
  return attacker.run();
}
