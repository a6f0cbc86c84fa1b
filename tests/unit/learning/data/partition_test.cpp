#include "learning/data/partition.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <numeric>

using namespace fl;

namespace {

constexpr std::uint32_t kClasses = 10;

/// `size` samples whose classes come in turn, so that every class has as many.
DatasetPtr balanced(std::size_t size) {
  std::vector<std::int64_t> labels(size);
  for (std::size_t i = 0; i < size; ++i) labels[i] = static_cast<std::int64_t>(i % kClasses);
  return std::make_shared<const Dataset>(std::vector<std::int64_t>{1}, kClasses,
                                         std::vector<std::uint8_t>(size), std::move(labels));
}

Partition partition(const Dataset& dataset, const PartitionSettings& settings, std::uint32_t clients,
                    std::uint64_t seed = 1) {
  auto made = make_partition(dataset, settings, clients, seed);
  REQUIRE(made);
  return *made;
}

std::size_t smallest(const Partition& p) {
  return std::ranges::min_element(p.rows, {}, &std::vector<std::uint32_t>::size)->size();
}
std::size_t largest(const Partition& p) {
  return std::ranges::max_element(p.rows, {}, &std::vector<std::uint32_t>::size)->size();
}

std::size_t classes_held(const std::vector<std::uint64_t>& histogram) {
  return static_cast<std::size_t>(std::ranges::count_if(histogram, [](auto count) { return count > 0; }));
}

/// FNV-1a over who owns what.
std::uint64_t fingerprint(const Partition& p) {
  std::uint64_t hash = 0xcbf29ce484222325;
  const auto add = [&](std::uint64_t value) { hash = (hash ^ value) * 0x100000001b3; };
  for (const auto& rows : p.rows) {
    add(rows.size());
    for (const auto row : rows) add(row);
  }
  return hash;
}

void check_refused(const PartitionSettings& settings, std::uint32_t clients, ec code,
                   const std::string& what) {
  const auto made = make_partition(*balanced(100), settings, clients, 1);
  REQUIRE_FALSE(made);
  CHECK(made.error().code == code);
  INFO(made.error().text);
  CHECK(made.error().text.find(what) != std::string::npos);
}

}  // namespace

TEST_CASE("every partition gives each row to exactly one client and counts its classes") {
  const auto dataset = balanced(1'003);
  for (const auto* name : {"iid", "dirichlet", "shards", "quantity"}) {
    for (const std::uint32_t clients : {1u, 3u, 100u}) {
      CAPTURE(name);
      CAPTURE(clients);
      const auto p = partition(*dataset, {.name = name, .dirichlet_alpha = 0.1}, clients);
      REQUIRE(p.rows.size() == clients);
      REQUIRE(p.label_histograms.size() == clients);
      std::vector<int> owners(dataset->size(), 0);
      for (std::size_t i = 0; i < clients; ++i) {
        CHECK(p.rows[i].size() >= 1);
        CHECK(std::ranges::is_sorted(p.rows[i]));
        for (const auto row : p.rows[i]) ++owners[row];
        CHECK(p.label_histograms[i] == DataView{dataset, p.rows[i]}.label_histogram());
        CHECK(std::accumulate(p.label_histograms[i].begin(), p.label_histograms[i].end(), std::size_t{0}) ==
              p.rows[i].size());
      }
      CHECK(std::ranges::all_of(owners, [](int count) { return count == 1; }));
    }
  }
}

TEST_CASE("the same seed gives the same partition, another seed another") {
  const auto dataset = balanced(600);
  // Golden values: nodes of different machines and releases must agree on who owns what.
  const std::vector<std::pair<std::string, std::uint64_t>> golden = {{"iid", 6552417984554415011u},
                                                                     {"dirichlet", 3333813139409698563u},
                                                                     {"shards", 15380829606892983439u},
                                                                     {"quantity", 5104305743941778727u}};
  for (const auto& [name, expected] : golden) {
    const PartitionSettings settings{.name = name};
    CAPTURE(settings.name);
    const auto hash = fingerprint(partition(*dataset, settings, 7, 42));
    CHECK(hash == expected);
    CHECK(hash == fingerprint(partition(*dataset, settings, 7, 42)));
    CHECK(hash != fingerprint(partition(*dataset, settings, 7, 43)));
  }
}

TEST_CASE("iid parts differ by at most one sample and mix all classes") {
  const auto p = partition(*balanced(1'003), {.name = "iid"}, 4);
  CHECK(smallest(p) == 250);
  CHECK(largest(p) == 251);
  for (const auto& histogram : p.label_histograms) {
    for (const auto count : histogram) {
      CHECK(count > 10);
      CHECK(count < 45);
    }
  }
}

TEST_CASE("dirichlet is nearly uniform for a large alpha") {
  const auto p = partition(*balanced(10'000), {.name = "dirichlet", .dirichlet_alpha = 1e5}, 10);
  for (const auto& histogram : p.label_histograms) {
    for (const auto count : histogram) CHECK(count == doctest::Approx(100).epsilon(0.05));
  }
}

TEST_CASE("dirichlet is skewed for a small alpha") {
  const auto p = partition(*balanced(10'000), {.name = "dirichlet", .dirichlet_alpha = 0.05}, 10);
  // On average most of a class lies with one client; evenly divided it would be a tenth.
  auto shares = 0.0;
  for (std::size_t k = 0; k < kClasses; ++k) {
    std::uint64_t most = 0;
    for (const auto& histogram : p.label_histograms) most = std::max(most, histogram[k]);
    shares += static_cast<double>(most) / 1'000;
  }
  CHECK(shares / kClasses > 0.5);
  CHECK(largest(p) > 2 * 1'000);
}

TEST_CASE("an alpha so small that every gamma variate underflows still divides all rows") {
  for (const auto* name : {"dirichlet", "quantity"}) {
    const auto p = partition(*balanced(200), {.name = name, .dirichlet_alpha = 1e-300}, 20);
    CHECK(smallest(p) == 1);
    auto total = std::size_t{0};
    for (const auto& rows : p.rows) total += rows.size();
    CHECK(total == 200);
  }
}

TEST_CASE("shards that fit the classes give a client at most as many labels as shards") {
  // 10 clients · 2 shards of 50 samples; a class has 100.
  const auto p = partition(*balanced(1'000), {.name = "shards", .shards_per_client = 2}, 10);
  auto two = 0;
  for (std::size_t i = 0; i < p.rows.size(); ++i) {
    CHECK(p.rows[i].size() == 100);
    CHECK(classes_held(p.label_histograms[i]) <= 2);
    if (classes_held(p.label_histograms[i]) == 2) ++two;
  }
  CHECK(two > 0);
}

TEST_CASE("a shard smaller than a class crosses at most one border between classes") {
  const auto p = partition(*balanced(1'003), {.name = "shards", .shards_per_client = 3}, 7);
  for (std::size_t i = 0; i < p.rows.size(); ++i) CHECK(classes_held(p.label_histograms[i]) <= 2 * 3);
  CHECK(largest(p) - smallest(p) <= 3);
}

TEST_CASE("quantity makes uneven sizes of an even mixture") {
  const auto p = partition(*balanced(10'000), {.name = "quantity", .dirichlet_alpha = 0.5}, 8);
  CHECK(largest(p) > 2 * smallest(p));
  for (std::size_t i = 0; i < p.rows.size(); ++i) {
    const auto share = static_cast<double>(p.rows[i].size()) / kClasses;
    if (share < 50) continue;
    for (const auto count : p.label_histograms[i]) {
      CHECK(static_cast<double>(count) == doctest::Approx(share).epsilon(0.5));
    }
  }
  const auto even = partition(*balanced(10'000), {.name = "quantity", .dirichlet_alpha = 1e6}, 8);
  CHECK(static_cast<double>(smallest(even)) == doctest::Approx(1'250).epsilon(0.02));
}

TEST_CASE("as many clients as samples get one each") {
  for (const auto* name : {"iid", "dirichlet", "quantity"}) {
    const auto p = partition(*balanced(100), {.name = name}, 100);
    CHECK(smallest(p) == 1);
    CHECK(largest(p) == 1);
  }
}

TEST_CASE("partitions that cannot be are refused") {
  check_refused({.name = "iid"}, 0, ec::bad_config, "clients.count is 0");
  check_refused({.name = "iid"}, 101, ec::bad_data, "only 100 samples");
  check_refused({.name = "shards", .shards_per_client = 0}, 3, ec::bad_config, "data.shards_per_client is 0");
  check_refused({.name = "shards", .shards_per_client = 51}, 2, ec::bad_data, "102 shards");
  // 2³² shards would wrap round in 32 bits.
  check_refused({.name = "shards", .shards_per_client = 1u << 31}, 2, ec::bad_data, "4294967296 shards");
  for (const auto* name : {"dirichlet", "quantity"}) {
    for (const auto alpha :
         {0.0, -1.0, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
      check_refused({.name = name, .dirichlet_alpha = alpha}, 3, ec::bad_config, "data.dirichlet_alpha is");
    }
  }
  check_refused({.name = "random"}, 3, ec::bad_config, "expected iid, dirichlet, shards or quantity");
}

TEST_CASE("split_validation takes its share away, at random and repeatably") {
  const auto dataset = balanced(1'000);
  const DataView whole{dataset, partition(*dataset, {.name = "iid"}, 3).rows[1]};
  auto train = whole;
  const auto validation = split_validation(train, 0.2, 5);
  CHECK(validation.dataset == dataset);
  CHECK(validation.size() == 67);
  CHECK(train.size() == whole.size() - 67);
  std::vector<std::uint32_t> together;
  std::ranges::merge(train.rows, validation.rows, std::back_inserter(together));
  CHECK(together == whole.rows);

  auto again = whole;
  CHECK(split_validation(again, 0.2, 5).rows == validation.rows);
  auto other = whole;
  CHECK(split_validation(other, 0.2, 6).rows != validation.rows);
}

TEST_CASE("split_validation at its limits") {
  const auto dataset = balanced(10);
  const auto sizes = [&](std::vector<std::uint32_t> rows, double fraction) {
    DataView train{dataset, std::move(rows)};
    const auto validation = split_validation(train, fraction, 1);
    return std::pair(train.size(), validation.size());
  };
  using Sizes = std::pair<std::size_t, std::size_t>;
  CHECK(sizes({1, 2, 3, 4}, 0) == Sizes(4, 0));
  CHECK(sizes({1, 2, 3, 4}, 0.001) == Sizes(3, 1));
  CHECK(sizes({1, 2, 3, 4}, 0.999) == Sizes(1, 3));
  CHECK(sizes({1}, 0.5) == Sizes(1, 0));
  CHECK(sizes({}, 0.5) == Sizes(0, 0));
  DataView train = DataView::all(dataset);
  CHECK_THROWS_AS(split_validation(train, 1, 1), std::invalid_argument);
  CHECK_THROWS_AS(split_validation(train, std::numeric_limits<double>::quiet_NaN(), 1),
                  std::invalid_argument);
}

TEST_CASE("describe lists the clients and says how many it left out") {
  const auto dataset = balanced(40);
  const auto p = partition_of(*dataset, {{0, 1, 10}, {2}, {3}});
  CHECK(describe(p, 2) ==
        "  client samples       0       1       2       3       4       5       6       7       8       9\n"
        "       0       3       2       1       0       0       0       0       0       0       0       0\n"
        "       1       1       0       0       1       0       0       0       0       0       0       0\n"
        "… and 1 more clients\n");
  CHECK(describe(p).find("more") == std::string::npos);
}
