#include "actors/shared_link.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <utility>
#include <vector>

using fl::FlowControl;
using fl::PassagePtr;
using fl::SharedLink;

namespace {

/// Enters until the link is full; nobody in particular.
std::vector<PassagePtr> fill(SharedLink& link) {
  auto passages = std::vector<PassagePtr>();
  while (auto passage = link.enter(0, {}, [](const PassagePtr&) {})) passages.push_back(std::move(passage));
  return passages;
}

/// Keeps what it is granted; `granted` must outlive the passages of the link, whose end may grant more.
SharedLink::Grant keep_in(std::vector<PassagePtr>& granted) {
  return [&granted](PassagePtr passage) { granted.push_back(std::move(passage)); };
}

}  // namespace

TEST_CASE("the clients of a link share one window") {
  const auto link = std::make_shared<SharedLink>();
  const auto under_way = fill(*link);
  CHECK(under_way.size() > 1);
  CHECK(under_way.size() <= FlowControl::kMaxInFlight);
  CHECK(link->enter(1, {}, [](const PassagePtr&) {}) == nullptr);
}

TEST_CASE("who finds the link full has its turn in the order of asking, once") {
  auto first = std::vector<PassagePtr>();
  auto second = std::vector<PassagePtr>();
  const auto link = std::make_shared<SharedLink>();
  auto under_way = fill(*link);
  CHECK(link->enter(1, {}, keep_in(first)) == nullptr);
  CHECK(link->enter(2, {}, keep_in(second)) == nullptr);
  CHECK(link->enter(1, {}, keep_in(first)) == nullptr);
  under_way.pop_back();  // of nobody, who waits at the head and has no use for its turn
  CHECK(first.size() == 1);
  CHECK(second.empty());
  under_way.pop_back();
  CHECK(first.size() == 1);
  CHECK(second.size() == 1);
}

TEST_CASE("an acknowledged passage makes room once") {
  auto granted = std::vector<PassagePtr>();
  const auto link = std::make_shared<SharedLink>();
  auto under_way = fill(*link);
  CHECK(link->enter(1, {}, keep_in(granted)) == nullptr);
  CHECK(link->enter(2, {}, keep_in(granted)) == nullptr);
  const auto passage = under_way.back();
  passage->acknowledged(0, {});
  passage->acknowledged(0, {});
  under_way.pop_back();
  CHECK(granted.size() == 1);
}

TEST_CASE("a passage outlives who holds the link") {
  auto link = std::make_shared<SharedLink>();
  auto under_way = fill(*link);
  CHECK(under_way.front()->is_of(*link));
  CHECK_FALSE(under_way.front()->is_of(SharedLink()));
  link.reset();
  under_way.clear();
}
