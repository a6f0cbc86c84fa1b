#include "runtime/help_text.hpp"

namespace fl {

std::string help_text() {
  return R"(fl_actor_node trains one model over data that stay where they are (federated learning).
Clients train on their own data and send only what they changed; the aggregator makes new versions of the model from it,
without waiting for slow clients.

Usage:
  fl_actor_node --role simulate   [--config FILE] [--set KEY=VALUE]... [--out DIR] [--resume] [--seed N]
  fl_actor_node --role aggregator [--config FILE] [--set KEY=VALUE]... [--out DIR] [--resume] [--seed N]
                                  [--bind ADDR] [--port N]
  fl_actor_node --role client --join HOST[:PORT] [--name NAME] [--config FILE] [--set KEY=VALUE]... [--out DIR]
  fl_actor_node keys init DIR | client NAME [--dir DIR] | revoke NAME [--dir DIR]   certificates and identities
  fl_actor_node status RUN_DIR|HOST[:PORT]        how a run goes
  fl_actor_node health RUN_DIR|HOST[:PORT]        "ready" and exit code 0 when clients can be given work, else why not
  fl_actor_node stop   RUN_DIR|HOST[:PORT]        end a run: what is under way is saved
  fl_actor_node pardon RUN_DIR NAME               let a quarantined client take part again
  fl_actor_node replay RUN_DIR [--until VERSION] [--without CLIENT]   the model again, from the ledger of decisions
  fl_actor_node view RUN_DIR [--dashboard PORT]   the page of a run that has ended, or that another process works on
  fl_actor_node compare RUN_DIR... [--target ACCURACY] [--out FILE]   runs side by side: a table, and a page (compare.html)
  fl_actor_node runs [DIR] [--json]               the runs below a folder (default: runs), a line each
  fl_actor_node inspect FILE|RUN_DIR [--json]     what is in a run's folder, a snapshot, a kept update or safetensors
  fl_actor_node export RUN_DIR [--format csv|updates-csv|safetensors|snapshot] [--version N] [--out FILE]
                                                  a run's metrics, decisions or model, for other programs
  fl_actor_node predict --model RUN_DIR|FILE --data FILE [--out FILE] [--probabilities]
                                                  what a model.pt says of a table, of arrays or of images, as CSV
  fl_actor_node data [--config FILE] [--set KEY=VALUE]... [--schema FILE]   check data of your own before a run
  fl_actor_node config show [--config FILE] [--set KEY=VALUE]...   the settings as a run would use them
  fl_actor_node config check FILE...              whether files with settings are right
  fl_actor_node config default | docs             every key with its default, as TOML or as a reference
  fl_actor_node completion bash|zsh               completions for a shell to source
  fl_actor_node man                               this as a manual page

Examples:
  The whole federation in this process: ten uneven clients on MNIST
    fl_actor_node --role simulate --config configs/mnist_async.toml
  One aggregator and two clients, each in a terminal (or on a machine) of its own
    fl_actor_node --role aggregator --set clients.count=2 --out runs/first
    fl_actor_node --role client --join 127.0.0.1:4242 --name alice
    fl_actor_node --role client --join 127.0.0.1:4242 --name bob
  Across machines: keys for everyone, then one configuration each
    fl_actor_node keys init keys && fl_actor_node keys client alice --dir keys
    fl_actor_node --role aggregator --config run.toml --config keys/aggregator.toml --out runs/first
    fl_actor_node --role client --join HOST --config alice.toml     (on her machine, with the files it names)
  After a crash or Ctrl-C, go on; nothing that a client was told is lost
    fl_actor_node --role aggregator --out runs/first --resume

Options:
  --role ROLE        simulate: all in one process; aggregator: owns the model; client: trains
  --config FILE      settings in TOML, may be repeated, later ones win; without it the defaults, which
                     configs/default.toml explains
  --set KEY=VALUE    one setting, may be repeated, wins over the file: --set train.epochs=2
  --out DIR          folder of the run (default: runs/<UTC time>-<role>); holds metrics.jsonl, summary.json, the model
                     (model.safetensors, model.pt), config.toml and checkpoints/
  --resume           go on with the run in --out; without --config, with its settings
  --seed N           short for --set run.seed=N; the same seed gives the same results
  --bind ADDR        listen on this address (default 127.0.0.1, this machine only)
  --port N           listen on this port (default 4242)
  --dashboard [PORT] serve a page about the run at http://127.0.0.1:PORT (default 8642), with /metrics for Prometheus
  --join HOST[:PORT]
                     address of the aggregator
  --name NAME        this client's name; with the same name it gets its place back after a restart
  --log-level LEVEL  trace, debug, info, warn, error or off
  --log-json         log as JSON, one object a line
  --no-progress      do not show how the run goes
  --version          print the version
  --help             print this

Exit codes:
  0    done
  1    failed; for a client also: the aggregator could not be reached for net.reconnect_seconds
  2    bad usage, configuration or data, or a host that cannot be resolved; nothing was started
  130  interrupted; the state is saved, and --resume goes on from there

Documentation: README.md (first steps), docs/commands.md (commands on runs),
docs/configuration.md (all settings), docs/architecture.md (how it works).
)";
}

std::string version_text() {
  return "fl_actor_node " FL_VERSION;
}

}  // namespace fl
