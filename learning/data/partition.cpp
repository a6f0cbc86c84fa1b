#include "learning/data/partition.hpp"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <numeric>
#include <sstream>
#include <stdexcept>

#include "learning/random.hpp"

namespace fl {
namespace {

using Rows = std::vector<std::uint32_t>;

/// Fisher and Yates; std::shuffle differs between libraries.
void shuffle(Rows& rows, RandomStream& random) {
  for (auto left = rows.size(); left > 1; --left) std::swap(rows[left - 1], rows[random.below(left)]);
}

Rows all_rows(const Dataset& dataset) {
  Rows rows(dataset.size());
  std::iota(rows.begin(), rows.end(), std::uint32_t{0});
  return rows;
}

/// Part i of `parts` parts of `size` things whose sizes differ by at most one begins here.
std::size_t equal_cut(std::size_t size, std::size_t parts, std::size_t i) {
  return i * (size / parts) + std::min(i, size % parts);
}

void append(Rows& to, const Rows& from, std::size_t begin, std::size_t end) {
  to.insert(to.end(), from.begin() + static_cast<std::ptrdiff_t>(begin),
            from.begin() + static_cast<std::ptrdiff_t>(end));
}

/// A draw from the symmetric Dir(α). When α is so small that every gamma variate underflows, all weight goes
/// to one client: the limit of Dir(α) for α → 0.
std::vector<double> dirichlet(double alpha, std::size_t count, RandomStream& random) {
  std::vector<double> weights(count);
  for (auto& weight : weights) weight = random.gamma(alpha);
  const auto sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  if (sum > 0 && std::isfinite(sum)) {
    for (auto& weight : weights) weight /= sum;
  } else {
    weights.assign(count, 0.0);
    weights[random.below(count)] = 1;
  }
  return weights;
}

/// Cuts `rows` in the given proportions and appends part i to client i.
void deal_in_proportion(const Rows& rows, const std::vector<double>& proportions,
                        std::vector<Rows>& clients) {
  auto cumulative = 0.0;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < clients.size(); ++i) {
    cumulative += proportions[i];
    const auto cut = static_cast<std::size_t>(std::llround(cumulative * static_cast<double>(rows.size())));
    const auto end = i + 1 == clients.size() ? rows.size() : std::clamp(cut, begin, rows.size());
    append(clients[i], rows, begin, end);
    begin = end;
  }
}

/// Every client without a sample gets one of the client that then has most; there are as many samples as
/// clients.
void leave_none_empty(std::vector<Rows>& clients) {
  for (auto& client : clients) {
    if (!client.empty()) continue;
    auto& richest = *std::ranges::max_element(clients, {}, &Rows::size);
    client.push_back(richest.back());
    richest.pop_back();
  }
}

std::vector<Rows> divide_iid(const Dataset& dataset, std::uint32_t clients, RandomStream& random) {
  auto rows = all_rows(dataset);
  shuffle(rows, random);
  std::vector<Rows> parts(clients);
  for (std::size_t i = 0; i < clients; ++i) {
    append(parts[i], rows, equal_cut(rows.size(), clients, i), equal_cut(rows.size(), clients, i + 1));
  }
  return parts;
}

std::vector<Rows> divide_dirichlet(const Dataset& dataset, double alpha, std::uint32_t clients,
                                   RandomStream& random) {
  std::vector<Rows> classes(dataset.classes());
  for (const auto row : all_rows(dataset))
    classes[static_cast<std::size_t>(dataset.label(row))].push_back(row);
  std::vector<Rows> parts(clients);
  for (auto& rows : classes) {
    shuffle(rows, random);
    deal_in_proportion(rows, dirichlet(alpha, clients, random), parts);
  }
  leave_none_empty(parts);
  return parts;
}

std::vector<Rows> divide_shards(const Dataset& dataset, std::size_t shards_per_client, std::uint32_t clients,
                                RandomStream& random) {
  auto rows = all_rows(dataset);
  std::ranges::stable_sort(rows, {}, [&](auto row) { return dataset.label(row); });
  const auto shards = clients * shards_per_client;
  Rows order(shards);
  std::iota(order.begin(), order.end(), std::uint32_t{0});
  shuffle(order, random);
  std::vector<Rows> parts(clients);
  for (std::size_t i = 0; i < shards; ++i) {
    const std::size_t shard = order[i];
    append(parts[i / shards_per_client], rows, equal_cut(rows.size(), shards, shard),
           equal_cut(rows.size(), shards, shard + 1));
  }
  return parts;
}

std::vector<Rows> divide_quantity(const Dataset& dataset, double alpha, std::uint32_t clients,
                                  RandomStream& random) {
  auto rows = all_rows(dataset);
  shuffle(rows, random);
  std::vector<Rows> parts(clients);
  deal_in_proportion(rows, dirichlet(alpha, clients, random), parts);
  leave_none_empty(parts);
  return parts;
}

Result<void> check(const Dataset& dataset, const PartitionSettings& settings, std::uint32_t clients) {
  const auto samples = std::to_string(dataset.size());
  if (clients < 1) return fail(ec::bad_config, "clients.count is 0, expected at least 1");
  if (clients > dataset.size()) {
    return fail(ec::bad_data, "clients.count is " + std::to_string(clients) + ", but there are only " +
                                  samples + " samples; each client needs one");
  }
  const bool uses_alpha = settings.name == "dirichlet" || settings.name == "quantity";
  if (uses_alpha && !(std::isfinite(settings.dirichlet_alpha) && settings.dirichlet_alpha > 0)) {
    std::ostringstream text;
    text << "data.dirichlet_alpha is " << settings.dirichlet_alpha << ", expected a number > 0";
    return fail(ec::bad_config, text.str());
  }
  if (settings.name == "shards") {
    const auto per_client = settings.shards_per_client;
    if (per_client < 1) return fail(ec::bad_config, "data.shards_per_client is 0, expected at least 1");
    const auto shards = std::uint64_t{clients} * per_client;
    if (shards > dataset.size()) {
      return fail(ec::bad_data, "clients.count · data.shards_per_client is " + std::to_string(shards) +
                                    " shards, but there are only " + samples + " samples; lower one of them");
    }
  }
  return {};
}

}  // namespace

Result<Partition> make_partition(const Dataset& dataset, const PartitionSettings& settings,
                                 std::uint32_t clients, std::uint64_t seed) {
  if (const auto valid = check(dataset, settings, clients); !valid) return tl::unexpected(valid.error());
  const auto by_label = settings.name == "dirichlet" || settings.name == "shards";
  if (by_label && !dataset.has_labels())
    return fail(ec::bad_config,
                "data.partition = \"" + settings.name +
                    "\" divides by labels, and the data's targets are numbers; use \"iid\" or "
                    "\"quantity\"");
  RandomStream random(stream_seed(seed, "partition"));
  const auto alpha = settings.dirichlet_alpha;
  std::vector<Rows> parts;
  if (settings.name == "iid") {
    parts = divide_iid(dataset, clients, random);
  } else if (settings.name == "dirichlet") {
    parts = divide_dirichlet(dataset, alpha, clients, random);
  } else if (settings.name == "shards") {
    parts = divide_shards(dataset, settings.shards_per_client, clients, random);
  } else if (settings.name == "quantity") {
    parts = divide_quantity(dataset, alpha, clients, random);
  } else {
    return fail(ec::bad_config,
                "data.partition is \"" + settings.name + "\", expected iid, dirichlet, shards or quantity");
  }
  for (auto& rows : parts) std::ranges::sort(rows);
  return partition_of(dataset, std::move(parts));
}

Partition partition_of(const Dataset& dataset, std::vector<std::vector<std::uint32_t>> rows) {
  Partition partition{.rows = std::move(rows), .label_histograms = {}};
  partition.label_histograms.reserve(partition.rows.size());
  for (const auto& part : partition.rows) partition.label_histograms.push_back(dataset.label_histogram(part));
  return partition;
}

DataView split_validation(DataView& train, double fraction, std::uint64_t seed) {
  if (!(fraction >= 0 && fraction < 1))
    throw std::invalid_argument("split_validation: fraction is not in [0, 1)");
  DataView validation{.dataset = train.dataset, .rows = {}};
  const auto size = train.rows.size();
  if (fraction == 0 || size < 2) return validation;
  const auto wanted = static_cast<std::size_t>(std::llround(fraction * static_cast<double>(size)));
  const auto count = std::clamp<std::size_t>(wanted, 1, size - 1);
  if (train.dataset && train.dataset->samples_overlap()) {
    const auto first = train.rows.begin() + static_cast<std::ptrdiff_t>(size - count);
    validation.rows.assign(first, train.rows.end());
    const auto reach = static_cast<std::uint32_t>(train.dataset->sample_size());
    train.rows.erase(std::lower_bound(train.rows.begin(), first, *first - std::min(*first, reach)),
                     train.rows.end());
    return validation;
  }

  RandomStream random(stream_seed(seed, "validation"));
  std::vector<std::uint32_t> positions(size);
  std::iota(positions.begin(), positions.end(), std::uint32_t{0});
  shuffle(positions, random);
  std::vector<bool> taken(size, false);
  for (std::size_t i = 0; i < count; ++i) taken[positions[i]] = true;

  Rows kept;
  kept.reserve(size - count);
  for (std::size_t i = 0; i < size; ++i) (taken[i] ? validation.rows : kept).push_back(train.rows[i]);
  train.rows = std::move(kept);
  return validation;
}

std::string describe(const Partition& partition, std::size_t max_lines) {
  constexpr int kColumn = 8;
  constexpr std::size_t kMaxColumns = 20;
  std::ostringstream text;
  text << std::setw(kColumn) << "client" << std::setw(kColumn) << "samples";
  const auto classes = partition.label_histograms.empty() ? 0 : partition.label_histograms.front().size();
  const auto shown = classes <= kMaxColumns ? classes : 0;
  for (std::size_t k = 0; k < shown; ++k) text << std::setw(kColumn) << k;
  text << '\n';
  const auto lines = std::min(partition.rows.size(), max_lines);
  for (std::size_t i = 0; i < lines; ++i) {
    text << std::setw(kColumn) << i << std::setw(kColumn) << partition.rows[i].size();
    for (std::size_t k = 0; k < shown; ++k) text << std::setw(kColumn) << partition.label_histograms[i][k];
    text << '\n';
  }
  if (lines < partition.rows.size()) text << "… and " << partition.rows.size() - lines << " more clients\n";
  return text.str();
}

}  // namespace fl
