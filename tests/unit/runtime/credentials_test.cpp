#include "runtime/credentials.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include "runtime/key_maker.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace fl;
using test::holds_all;
using test::TemporaryFolder;

namespace {

Result<Config> config_of(const std::filesystem::path& file) {
  return load_config(ConfigSources{{file}, {}});
}

unsigned mode_of(const std::filesystem::path& file) {
  struct stat status = {};
  REQUIRE(::stat(file.c_str(), &status) == 0);
  return status.st_mode & 0777;
}

}  // namespace

TEST_CASE("an allow list: names and keys, remarks, and every fault named with its line") {
  const auto key = SigningKey::generate().public_key();
  const auto other = SigningKey::generate().public_key();
  const auto list = parse_allow_list(
      "# wards\n\nward-1 " + key.text() + "  # Anna's\r\n\t" + allow_list_line("b", other), "list");
  REQUIRE(list);
  CHECK(*list == AllowList{{"ward-1", key}, {"b", other}});
  CHECK(parse_allow_list("", "list")->empty());
  const auto refusal = [](const std::string& text) { return parse_allow_list(text, "list").error().text; };
  CHECK(holds_all(refusal("\nward-1\n"), {"list:2", "name", "key"}));
  CHECK(holds_all(refusal("ward-1 abc"), {"list:1", "abc", "Base64"}));
  CHECK(holds_all(refusal("../x " + key.text()), {"list:1", "../x"}));
  CHECK(holds_all(refusal("a " + key.text() + " more"), {"list:1"}));
  CHECK(holds_all(refusal("a " + key.text() + "\na " + other.text()), {"list:2", "twice"}));
}

TEST_CASE("made keys are what a node can be started with") {
  const auto folder = TemporaryFolder();
  const auto options = KeyOptions{folder / "keys"};
  REQUIRE(make_federation_keys(options));
  REQUIRE(make_client_keys(options, "alice"));
  for (const auto* name : {"ca.key", "aggregator.key", "aggregator.identity", "alice.key", "alice.identity"})
    CHECK(mode_of(options.folder / name) == 0600);

  const auto aggregator = config_of(options.folder / "aggregator.toml");
  const auto alice = config_of(options.folder / "alice.toml");
  REQUIRE(aggregator);
  REQUIRE(alice);
  CHECK(alice->client_name == "alice");
  CHECK(alice->net.tls());
  const auto server = load_credentials(aggregator->net);
  const auto client = load_credentials(alice->net);
  REQUIRE(server);
  REQUIRE(client);
  CHECK(client->aggregator == server->identity->public_key());
  CHECK(*server->allowed == AllowList{{"alice", client->identity->public_key()}});

  SUBCASE("a federation's keys are not made twice") {
    const auto before = test::read_text(options.folder / "ca.pem");
    CHECK(holds_all(make_federation_keys(options).error().text, {"ca.pem", "exists"}));
    CHECK(test::read_text(options.folder / "ca.pem") == before);
  }
  SUBCASE("a client's new keys replace the old") {
    REQUIRE(make_client_keys(options, "alice"));
    const auto list = read_allow_list(options.folder / "allow_list");
    CHECK((*list)->size() == 1);
    CHECK((*list)->at("alice") != client->identity->public_key());
  }
  SUBCASE("a client is taken off the list") {
    REQUIRE(make_client_keys(options, "bob"));
    REQUIRE(revoke_client(options.folder, "alice"));
    CHECK(!(*read_allow_list(options.folder / "allow_list"))->contains("alice"));
    CHECK((*read_allow_list(options.folder / "allow_list"))->contains("bob"));
    CHECK(holds_all(revoke_client(options.folder, "alice").error().text, {"alice", "allow_list"}));
  }
  SUBCASE("a secret that others may read is refused, with the way out") {
    for (const auto* name : {"alice.key", "alice.identity"}) {
      ::chmod((options.folder / name).c_str(), 0640);
      CHECK(holds_all(load_credentials(alice->net).error().text, {name, "chmod 600"}));
      ::chmod((options.folder / name).c_str(), 0600);
    }
  }
  SUBCASE("files that are missing, damaged or of somebody else are named") {
    auto net = alice->net;
    net.tls_key = options.folder / "aggregator.key";
    CHECK(holds_all(load_credentials(net).error().text, {"net.tls.key", "aggregator.key", "alice.pem"}));
    net = alice->net;
    net.tls_certificate = options.folder / "missing.pem";
    CHECK(holds_all(load_credentials(net).error().text, {"net.tls.certificate", "missing.pem"}));
    net = alice->net;
    net.tls_ca = options.folder / "allow_list";
    CHECK(holds_all(load_credentials(net).error().text, {"net.tls.ca", "allow_list", "no certificate"}));
    net = alice->net;
    net.identity = options.folder / "alice.key";
    CHECK(holds_all(load_credentials(net).error().text, {"net.identity", "alice.key"}));
  }
}

TEST_CASE("keys that cannot be made leave nothing behind") {
  const auto folder = TemporaryFolder();
  CHECK(holds_all(make_client_keys({folder / "none"}, "alice").error().text, {"none", "keys init"}));
  CHECK(!std::filesystem::exists(folder / "none"));
  REQUIRE(make_federation_keys({folder / "keys"}));
  const auto before = test::tree_of(folder.path());
  for (const auto* name : {"../alice", "", "ca", "aggregator", "allow_list", ".hidden"})
    CHECK(make_client_keys({folder / "keys"}, name).error().code == ec::bad_config);
  CHECK(test::tree_of(folder.path()) == before);
}
