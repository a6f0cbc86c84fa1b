#include "runtime/config_binding.hpp"

namespace fl {

using config_binding::key;

namespace {

std::vector<ConfigKey> goal_keys() {
  return {
      key("run.seed", FL_CONFIG_MEMBER(seed))
          .makes_the_run()
          .says("Seed of every random stream: the initial model, the partition of the data, the order of the "
                "batches, who is "
                "chosen. The same seed gives the same bytes for synchronous strategies."),
      key("run.max_versions", FL_CONFIG_MEMBER(goals.max_versions))
          .says("The run ends at this model version; for the synchronous strategy, the number of rounds. 0: "
                "no limit."),
      key("run.max_updates", FL_CONFIG_MEMBER(goals.max_updates))
          .says("The run ends when this many updates have been accepted. 0: no limit."),
      key("run.max_seconds", FL_CONFIG_MEMBER(goals.max_seconds))
          .in(at_least(0))
          .says("The run ends after this many seconds since its start, summed over resumes. 0: no limit."),
      key("run.target_accuracy", FL_CONFIG_MEMBER(goals.target_accuracy))
          .in(between(0, 1))
          .says("The run ends at the first evaluated version with at least this accuracy, a share: 0.98 is "
                "98 %. 0: no "
                "target. Whichever goal is reached first ends the run; without any it goes on until it is "
                "stopped."),
  };
}

std::vector<ConfigKey> model_keys() {
  return {
      key("model.name", FL_CONFIG_MEMBER(trainer.model))
          .one_of({"simple_cnn", "mcmahan_cnn", "mlp_2nn", "logistic", "lstm_char", "flat"})
          .makes_the_run()
          .says("What is trained. simple_cnn: two 3×3 convolutions of 32 and 64, one 2×2 pool, 128 hidden "
                "units (1,199,882 "
                "parameters on MNIST). mcmahan_cnn: two 5×5 convolutions of 32 and 64, each with a 2×2 pool, "
                "512 hidden units "
                "(1,663,370). mlp_2nn: two hidden layers of 200 (199,210). logistic: multinomial regression. "
                "lstm_char: the next character of a text, two LSTM layers of 256 (824,690 for 98 "
                "characters). flat: "
                "model.parameters numbers that nothing is computed with, for train.backend = \"echo\"."),
      key("model.parameters", FL_CONFIG_MEMBER(trainer.model_parameters))
          .makes_the_run()
          .says("Number of parameters of the model \"flat\", at least 1 there; other models ignore it."),
      key("model.file", FL_CONFIG_MEMBER(trainer.model_file))
          .makes_the_run()
          .is_path()
          .says(
              "A TorchScript file with a model of your own, instead of model.name: forward(x) gives logits "
              "or "
              "predictions for a batch, as train.loss says. Its values are version 0. Aggregator and clients "
              "each need the file."),
      key("model.export_int8", FL_CONFIG_MEMBER(export_int8))
          .says(
              "Also write the last version with its weights in 8 bits (model.int8.safetensors), and say its "
              "accuracy in summary.json (int8_accuracy)."),
  };
}

std::vector<ConfigKey> data_keys() {
  return {
      key("data.name", FL_CONFIG_MEMBER(data.name))
          .one_of({"mnist", "synthetic_digits", "synthetic_logistic", "csv", "npz", "images", "idx", "text"})
          .makes_the_run()
          .says(
              "mnist: the handwritten digits, from the four IDX files in data.dir, or any set in the same "
              "form. synthetic_digits: drawn digits with random distortion; needs no files. "
              "synthetic_logistic: the FedProx paper's synthetic(α, β), for the model \"logistic\", where "
              "the data itself says who owns what. Data of your own, which each client has for itself "
              "(docs/own_data.md): csv: tables with a header. npz: NumPy's arrays x and y. images: a folder "
              "of PNG and JPEG files for each class. idx: images in the form of MNIST's, of any size. text: "
              "the next character is predicted, for the model \"lstm_char\"."),
      key("data.file", FL_CONFIG_MEMBER(data.file))
          .is_path()
          .says(
              "Own data: the client's file, or a folder of them. In a simulation each file of a folder is a "
              "client's, in the order of their names; one file is divided among all as data.partition says. "
              "An aggregator needs it only where data.schema and data.test_file do not say what the data "
              "look like."),
      key("data.test_file", FL_CONFIG_MEMBER(data.test_file))
          .is_path()
          .says(
              "Own data to evaluate on, for an aggregator or a simulation. Empty: what data.file has for it "
              "(x_test of an npz, t10k of idx), else, in a simulation, data.test_fraction of it."),
      key("data.test_fraction", FL_CONFIG_MEMBER(data.test_fraction))
          .in(between(0.001, 0.9))
          .makes_the_run()
          .says(
              "Share of each file of data.file that a simulation evaluates on where there is nothing else."),
      key("data.schema", FL_CONFIG_MEMBER(data.schema_file))
          .is_path()
          .says("A file that says which columns or what shape, and which classes the own data of all clients "
                "have; `fl_actor_node data --schema FILE` writes one. Empty: what data.file shows. The "
                "aggregator sends it to the clients."),
      key("data.target", FL_CONFIG_MEMBER(data.target))
          .says("The column of a csv that is predicted. Empty: the last one."),
      key("data.ignore", FL_CONFIG_MEMBER(data.ignore))
          .says("Columns of a csv that are not read, such as names and record numbers."),
      key("data.categorical", FL_CONFIG_MEMBER(data.categorical))
          .says("Columns of a csv whose numbers name categories, such as postcodes. Columns with texts are "
                "categorical anyway."),
      key("data.standardise", FL_CONFIG_MEMBER(data.standardise))
          .says("Whether the numbers of csv and npz are brought to mean 0 and deviation 1 over all clients. "
                "Each client says count, mean and squared deviations of its inputs, and no row; missing "
                "numbers count as the mean."),
      key("data.text_length", FL_CONFIG_MEMBER(data.text_length))
          .in(between(1, 10'000))
          .makes_the_run()
          .says("Characters of a text from which the next one is predicted."),
      key("data.dir", FL_CONFIG_MEMBER(data.dir))
          .says("Folder of the data files, plain or .gz; scripts/fetch_mnist.sh fills data/mnist."),
      key("data.partition", FL_CONFIG_MEMBER(partition.name))
          .one_of({"iid", "dirichlet", "shards", "quantity"})
          .makes_the_run()
          .says("How the samples are divided among the clients. iid: shuffled, equal parts. dirichlet: each "
                "class in random "
                "proportions, so clients have different mixtures. shards: sorted by class and cut, so each "
                "client sees few "
                "classes. quantity: alike in kind, uneven in number."),
      key("data.dirichlet_alpha", FL_CONFIG_MEMBER(partition.dirichlet_alpha))
          .in(above(0))
          .makes_the_run()
          .says(
              "Concentration of the partitions dirichlet and quantity: 0.1 is very uneven, 100 nearly even."),
      key("data.shards_per_client", FL_CONFIG_MEMBER(partition.shards_per_client))
          .in(at_least(1))
          .makes_the_run()
          .says(
              "Shards that each client gets with the partition shards: about the number of classes it sees."),
      key("data.part", FL_CONFIG_MEMBER(given.data_part))
          .says("\"I/N\": this client takes part I of N equal parts, counted from 0: \"0/3\", \"1/3\", "
                "\"2/3\". Empty: the "
                "index that the aggregator gives it decides."),
      key("data.balance", FL_CONFIG_MEMBER(training.balance.name))
          .one_of({"none", "oversample", "augment"})
          .says("What is done about labels of which a client has few samples. oversample: they are repeated, "
                "up to data.balance_ratio; an epoch is longer then. augment: the repeats are augmented. The "
                "aggregator decides and sends it with each task, as it does data.augment and what belongs to "
                "it. train.class_balance weighs the loss instead."),
      key("data.balance_ratio", FL_CONFIG_MEMBER(training.balance.ratio))
          .in(above_to(0, 1))
          .says("Share of the client's most frequent label that data.balance brings its other labels up to. "
                "Labels "
                "of which it has none stay away."),
      key("data.augment", FL_CONFIG_MEMBER(training.augmentation.all))
          .says("Whether every training sample is changed at random each time that it is used. For images. "
                "The keys "
                "below say how much; 0 leaves a kind out."),
      key("data.augment_shift", FL_CONFIG_MEMBER(training.augmentation.shift))
          .in(between(0, 1))
          .says("Shift at most, each way, as a share of the width and of the height."),
      key("data.augment_rotation", FL_CONFIG_MEMBER(training.augmentation.rotation))
          .in(between(0, 180))
          .says("Rotation at most, each way, in degrees."),
      key("data.augment_scale", FL_CONFIG_MEMBER(training.augmentation.scale))
          .in(from_below(0, 1))
          .says("How much smaller or larger at most, as a share."),
      key("data.augment_elastic", FL_CONFIG_MEMBER(training.augmentation.elastic))
          .in(between(0, 1))
          .says("Elastic deformation: standard deviation of the local shifts, as a share of the width."),
      key("data.augment_erasing", FL_CONFIG_MEMBER(training.augmentation.erasing))
          .in(between(0, 1))
          .says("Probability that a rectangle of the image is erased."),
      key("data.synthetic_train", FL_CONFIG_MEMBER(data.synthetic_train))
          .in(at_least(1))
          .makes_the_run()
          .says("Samples of synthetic_digits to train on, all clients together."),
      key("data.synthetic_test", FL_CONFIG_MEMBER(data.synthetic_test))
          .in(at_least(1))
          .says("Samples of synthetic_digits to evaluate on."),
      key("data.logistic_alpha", FL_CONFIG_MEMBER(data.logistic_alpha))
          .in(at_least(0))
          .makes_the_run()
          .says("α of synthetic_logistic: how much the clients' true models differ."),
      key("data.logistic_beta", FL_CONFIG_MEMBER(data.logistic_beta))
          .in(at_least(0))
          .makes_the_run()
          .says("β of synthetic_logistic: how much the clients' inputs differ."),
  };
}

std::vector<ConfigKey> client_keys() {
  return {
      key("clients.count", FL_CONFIG_MEMBER(clients.count))
          .in(at_least(1))
          .makes_the_run()
          .says("Clients of the federation: how many a simulation runs, and among how many the data is "
                "divided."),
      key("clients.fraction", FL_CONFIG_MEMBER(scheduler.fraction))
          .in(above_to(0, 1))
          .says("Share of the clients that train at the same time; the cohort of the synchronous strategy."),
      key("clients.minimum", FL_CONFIG_MEMBER(scheduler.min_clients))
          .says("Clients that must be there before the first task is given. 0: all with the synchronous "
                "strategy, else 1."),
      key("clients.speed", FL_CONFIG_MEMBER(clients.speed))
          .one_of({"uniform", "lognormal", "pareto", "list"})
          .says("How the speeds of simulated clients differ. uniform: all alike. lognormal: random, as "
                "clients.speed_sigma "
                "says, the fastest at 1. pareto: a few are very slow, as clients.speed_pareto says. list: as "
                "clients.speed_list says; giving that list alone is enough."),
      key("clients.speed_list", FL_CONFIG_MEMBER(clients.speed_list))
          .in(above(0))
          .says("One number a client that multiplies the time of its tasks: with [1, 1, 10] the third takes "
                "ten times as "
                "long. On the real clock the difference is waited, so nobody is faster than 1."),
      key("clients.speed_sigma", FL_CONFIG_MEMBER(clients.speed_sigma))
          .in(between(0, 5))
          .says("Standard deviation of the logarithm of lognormal speeds: with 1, two clients of three are "
                "within a factor of "
                "2.7 of the middle one."),
      key("clients.speed_pareto", FL_CONFIG_MEMBER(clients.speed_pareto))
          .in(above(0))
          .says("Shape of pareto speeds: with 1.5, one client of 32 takes over ten times as long as the "
                "fastest."),
      key("clients.up_mbit_s", FL_CONFIG_MEMBER(clients.up_mbit_s))
          .in(at_least(0))
          .says("Megabits a second that a client uploads with, on the virtual clock. 0: no limit."),
      key("clients.down_mbit_s", FL_CONFIG_MEMBER(clients.down_mbit_s))
          .in(at_least(0))
          .says("The same for downloads."),
      key("clients.network_sigma", FL_CONFIG_MEMBER(clients.network_sigma))
          .in(between(0, 5))
          .says("Standard deviation of the logarithm of both rates, over the clients."),
      key("clients.latency_ms", FL_CONFIG_MEMBER(clients.latency_ms))
          .in(at_least(0))
          .says("Milliseconds before each transfer begins, on the virtual clock."),
      key("clients.availability", FL_CONFIG_MEMBER(clients.availability))
          .one_of({"always", "diurnal"})
          .says("When clients are there, on the virtual clock. diurnal: for clients.online_share of each "
                "day, from "
                "an hour of their own. A client that goes loses its task after schedule.rejoin_s."),
      key("clients.online_share", FL_CONFIG_MEMBER(clients.online_share))
          .in(above_to(0, 1))
          .says("Share of the day for which a diurnal client is there."),
      key("clients.day_s", FL_CONFIG_MEMBER(clients.day_s))
          .in(above(0))
          .says("Seconds in a day of diurnal clients."),
      key("clients.join_spread_s", FL_CONFIG_MEMBER(clients.join_spread_s))
          .in(at_least(0))
          .says("Clients come one by one over so many seconds, on the virtual clock. 0: all are there at "
                "once."),
      key("clients.trace", FL_CONFIG_MEMBER(clients.trace))
          .is_path()
          .says("A CSV file that says what each device is like, instead of the keys above: columns speed, "
                "up_mbit_s, down_mbit_s, latency_ms, dropout, online_s, online_period_s, all optional; "
                "configs/devices.csv is an example. Empty: none."),
      key("clients.sample_seconds", FL_CONFIG_MEMBER(clients.sample_seconds))
          .in(above(0))
          .says("Seconds for which a client of speed 1 computes for one sample, on the virtual clock: a task "
                "over "
                "600 samples takes 600 times as long, times the client's speed. Evaluating a sample takes a "
                "third "
                "of it. train.echo_seconds counts instead where train.backend = \"echo\"."),
      key("clients.dropout", FL_CONFIG_MEMBER(clients.dropout))
          .in(from_below(0, 1))
          .says("Probability that a simulated client gives a task up instead of answering it."),
  };
}

}  // namespace

std::vector<ConfigKey> run_keys() {
  auto all = std::vector<ConfigKey>();
  for (auto& part : {goal_keys(), model_keys(), data_keys(), client_keys()})
    all.insert(all.end(), part.begin(), part.end());
  return all;
}

}  // namespace fl
