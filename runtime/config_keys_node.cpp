#include "runtime/config_binding.hpp"

namespace fl {

using config_binding::key;

namespace {

std::vector<ConfigKey> store_keys() {
  return {
      key("store.durability", FL_CONFIG_MEMBER(store.durability))
          .one_of({"auto", "snapshot", "update"})
          .says("What survives a crash. snapshot: everything up to the last snapshot. update: every update "
                "whose "
                "client was told that it is accepted; it is on disk before that. auto: update for an "
                "aggregator, "
                "snapshot in a simulation."),
      key("store.snapshot_every", FL_CONFIG_MEMBER(store.snapshot_every))
          .in(at_least(1))
          .says("Versions from one snapshot to the next. After a crash the run goes on from the last one."),
      key("store.keep_snapshots", FL_CONFIG_MEMBER(store.keep_snapshots))
          .in(at_least(1))
          .says("Snapshots kept: the last ones. With two or more, a damaged one costs only the versions "
                "since the one before."),
      key("store.keep_updates", FL_CONFIG_MEMBER(store.keep_updates))
          .says(
              "Keeps every update's bytes for `fl_actor_node replay`, instead of those that no kept snapshot "
              "covers. With store.durability = \"update\"."),
      key("store.max_bytes", FL_CONFIG_MEMBER(store.max_bytes))
          .says(
              "Upper limit of the kept updates in bytes; when it is reached, clients are told to wait. 0: no "
              "limit."),
  };
}

std::vector<ConfigKey> net_keys() {
  return {
      key("net.port", FL_CONFIG_MEMBER(net.port))
          .says("TCP port of the aggregator; clients use it where --join names none. 0: any free one, for "
                "tests."),
      key("net.bind", FL_CONFIG_MEMBER(net.bind))
          .says("Address on which the aggregator listens. Anything but loopback needs net.tls.*, or "
                "net.allow_plaintext."),
      key("net.allow_plaintext", FL_CONFIG_MEMBER(net.allow_plaintext))
          .says("Accept connections without TLS from other machines. Whoever reaches the port can then read "
                "and disturb the "
                "run: only for networks that you trust."),
      key("net.max_model_bytes", FL_CONFIG_MEMBER(net.max_model_bytes))
          .in(at_least(1))
          .says("Largest model or update in bytes that a node accepts."),
      key("net.heartbeat_s", FL_CONFIG_MEMBER(net.heartbeat))
          .in(between(0.05, 3600))
          .says("Seconds between two signs of life on a quiet connection."),
      key("net.connection_timeout_s", FL_CONFIG_MEMBER(net.connection_timeout))
          .in(between(0.1, 86400))
          .says("Seconds of silence after which a peer counts as gone. More than one chunk (1 MB) takes on "
                "the slowest link."),
      key("net.request_timeout_s", FL_CONFIG_MEMBER(net.request_timeout))
          .in(between(0.1, 86400))
          .says("Seconds that a client waits for one answer of the aggregator before it connects anew."),
      key("net.reconnect_seconds", FL_CONFIG_MEMBER(net.reconnect))
          .in(at_least(0))
          .says("Seconds for which a client that cannot reach the aggregator keeps trying before it fails. "
                "0: for ever."),
      key("net.backoff_min_s", FL_CONFIG_MEMBER(net.backoff_min))
          .in(between(0.001, 3600))
          .says("Seconds before a client's first new attempt; each further wait is twice as long."),
      key("net.backoff_max_s", FL_CONFIG_MEMBER(net.backoff_max))
          .in(between(0.001, 3600))
          .says("Longest wait between two attempts, in seconds."),
      key("net.identity", FL_CONFIG_MEMBER(net.identity))
          .is_path()
          .says("File with this node's secret Ed25519 key, made by `fl_actor_node keys`. A client proves its "
                "name with "
                "it, an aggregator that it is the one meant."),
      key("net.allow_list", FL_CONFIG_MEMBER(net.allow_list))
          .is_path()
          .says("Of an aggregator: file with the name and public key of each client that may join. Read "
                "again at "
                "SIGHUP. Empty: everyone who can connect may join under any name."),
      key("net.aggregator_key", FL_CONFIG_MEMBER(net.aggregator_key))
          .says(
              "Of a client: the public key of the only aggregator that it talks to, in Base64. Empty: any."),
      key("net.tls.certificate", FL_CONFIG_MEMBER(net.tls_certificate))
          .is_path()
          .says("PEM file with this node's certificate. Certificate, key and ca go together and turn TLS on; "
                "both "
                "sides must present a certificate of the same authority."),
      key("net.tls.key", FL_CONFIG_MEMBER(net.tls_key))
          .is_path()
          .says("PEM file with the certificate's private key, readable for its owner only."),
      key("net.tls.ca", FL_CONFIG_MEMBER(net.tls_ca))
          .is_path()
          .says("PEM file with the federation's own certificate authority."),
  };
}

std::vector<ConfigKey> process_keys() {
  return {
      key("client.name", FL_CONFIG_MEMBER(client_name))
          .says("Name of a client where --name gives none: 1 to 64 letters, digits, dots, dashes and "
                "underscores. Empty: "
                "made from the host's name."),
      key("client.count", FL_CONFIG_MEMBER(client_count))
          .in(between(1, 10'000))
          .says(
              "Clients that this process is, such as the devices behind one gateway: NAME-0, NAME-1, … "
              "over one connection and one pool of simulate.workers threads, each with its own place in the "
              "run. 1: the one called NAME."),
      key("client.spool", FL_CONFIG_MEMBER(client_spool))
          .one_of({"auto", "always", "never"})
          .says("Whether a client keeps its finished update in the folder given with --out until the server "
                "has it, "
                "so that it outlives a crash of the client. auto: where the server keeps what it "
                "acknowledges."),
      key("simulate.clock", FL_CONFIG_MEMBER(simulate.clock))
          .one_of({"real", "virtual"})
          .says("real: clients take the time that they take, and slower ones wait. virtual: time is "
                "simulated, event by event, while the training runs ahead, so that slow clients cost "
                "nothing, and "
                "the same seed gives the same bytes with every strategy and any number of workers."),
      key("simulate.workers", FL_CONFIG_MEMBER(simulate.workers))
          .in(between(0, 4096))
          .says("Threads that train. 0: one for each core."),
      key("chaos.crash", FL_CONFIG_MEMBER(chaos_crash))
          .says("Actors to crash on purpose, each once, to watch the run recover, such as "
                "[\"aggregator@version=3\", "
                "\"client-2@task=2\"]. With I an index from 0 and N a count from 1: aggregator@version=N, "
                "scheduler@lease=N, gateway@hello=N, evaluator@version=N, metrics@version=N, "
                "checkpointer@snapshot=N, session-I@update=N, client-I@task=N, trainer-I@task=N. "
                "process@write=N is not a crash of an actor: the whole process dies, as by kill -9, at "
                "its Nth write to the disk."),
      key("supervision.max_restarts", FL_CONFIG_MEMBER(supervision.max_restarts))
          .says("Restarts of one actor within supervision.period_s; one more ends the run."),
      key("supervision.period_s", FL_CONFIG_MEMBER(supervision.period))
          .in(above(0))
          .says("Seconds over which restarts are counted."),
      key("supervision.backoff_min_s", FL_CONFIG_MEMBER(supervision.backoff_min))
          .in(between(0, 3600))
          .says("Seconds before an actor's first restart; each further wait is twice as long."),
      key("supervision.backoff_max_s", FL_CONFIG_MEMBER(supervision.backoff_max))
          .in(between(0, 3600))
          .says("Longest wait before a restart, in seconds."),
      key("supervision.jitter", FL_CONFIG_MEMBER(supervision.jitter))
          .in(from_below(0, 1))
          .says("Share by which these waits vary at random, so that actors do not come back all at once."),
      key("supervision.grace_s", FL_CONFIG_MEMBER(supervision.grace))
          .in(between(0, 3600))
          .says("Seconds that an actor has to stop by itself before it is killed."),
      key("log.level", FL_CONFIG_MEMBER(log.level))
          .one_of({"trace", "debug", "info", "warn", "error", "off"})
          .says("The least important messages that are logged; --log-level is short for it."),
      key("log.json", FL_CONFIG_MEMBER(log.json))
          .says("One JSON object a line instead of text; --log-json is short for it."),
      key("log.progress", FL_CONFIG_MEMBER(show_progress))
          .says("Show how the run goes; --no-progress is short for false."),
      key("log.tensorboard", FL_CONFIG_MEMBER(tensorboard))
          .says("Whether aggregator and simulate also write what metrics.jsonl says for TensorBoard, to the "
                "folder tensorboard/ of the run."),
  };
}

std::vector<ConfigKey> dashboard_keys() {
  return {
      key("dashboard.enabled", FL_CONFIG_MEMBER(dashboard.enabled))
          .says("Whether aggregator and simulate serve the page; --dashboard [PORT] is short for true."),
      key("dashboard.bind", FL_CONFIG_MEMBER(dashboard.bind))
          .says("Address that it listens at. Any but this machine's own needs dashboard.token. It speaks "
                "HTTP without "
                "encryption: between machines put a proxy with TLS before it."),
      key("dashboard.port", FL_CONFIG_MEMBER(dashboard.port))
          .says("TCP port; 0: any free one, which the log names."),
      key("dashboard.token", FL_CONFIG_MEMBER(dashboard.token))
          .is_secret()
          .says("Secret that who looks has to know: http://HOST:PORT/?token=TOKEN, or Authorization: Bearer "
                "TOKEN. "
                "Empty: only this machine may look."),
  };
}

}  // namespace

std::vector<ConfigKey> node_keys() {
  auto all = std::vector<ConfigKey>();
  for (auto& part : {store_keys(), net_keys(), dashboard_keys(), process_keys()})
    all.insert(all.end(), part.begin(), part.end());
  return all;
}

}  // namespace fl
