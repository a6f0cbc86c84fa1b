#include "learning/compression/codec.hpp"

#include <doctest/doctest.h>

using namespace fl;

TEST_SUITE("codec") {
  TEST_CASE("names are read, and written with all their numbers") {
    const auto whole = [](const char* name) { return to_string(parse_codec(name).value()); };
    CHECK(whole("none") == "none");
    CHECK(whole("int8") == "int8");
    CHECK(whole("top_k") == "top_k:0.01");
    CHECK(whole("top_k:0.001+int8+zstd") == "top_k:0.001+int8+zstd:3");
    CHECK(whole("top_k_layer:0.5+fp16") == "top_k_layer:0.5+fp16");
    CHECK(whole("random_k:1+qsgd") == "random_k:1+qsgd:127");
    CHECK(whole("prune+sign+zstd:19") == "prune+sign+zstd:19");
    for (const auto* name : {"none", "top_k:0.25+qsgd:7+zstd:1", "bf16", "int4", "zstd:3"})
      CHECK(parse_codec(to_string(parse_codec(name).value())).value() == parse_codec(name).value());
  }

  TEST_CASE("what is no codec is refused with what would be one") {
    for (const auto* name :
         {"",          "gzip",      "none+int8",      "int8+",       "+int8",    "int8+top_k",
          "int8+int4", "zstd+int8", "top_k:0",        "top_k:1.5",   "top_k:",   "top_k:x",
          "top_k:nan", "int8:3",    "qsgd:0",         "qsgd:128",    "qsgd:1.5", "zstd:0",
          "zstd:20",   "prune:0.5", "top_k+random_k", "top_k:0.1:2", " int8",    "random_k+sign"}) {
      CAPTURE(name);
      const auto codec = parse_codec(name);
      REQUIRE(!codec);
      CHECK(codec.error().code == ec::bad_config);
      CHECK(codec.error().text.size() > 60);
    }
  }

  TEST_CASE("biased codecs are those that need error feedback") {
    const auto biased = [](const char* name) { return parse_codec(name).value().is_biased(); };
    for (const auto* name : {"top_k", "top_k_layer+int8", "sign", "fp16", "bf16", "prune+sign"})
      CHECK(biased(name));
    for (const auto* name : {"none", "zstd", "int8", "int4", "qsgd", "random_k", "random_k+fp16", "prune"})
      CHECK(!biased(name));
  }
}
