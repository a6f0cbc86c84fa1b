// The IDX file format of MNIST and its relatives (described on the data set's page, "THE IDX FILE FORMAT"):
//   bytes 0..1 zero · byte 2 element type · byte 3 number of dimensions · one big-endian uint32 an extent ·
//   the elements
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "messages/errors.hpp"

namespace fl {

/// An array of bytes with its extents, row-major.
struct IdxArray {
  std::vector<std::uint32_t> extents;
  std::vector<std::uint8_t> values;
};

/// The first that exists of `name`, `name`.gz and the spelling with a dot, "train-images.idx3-ubyte", plain
/// or .gz; `name` is such as "train-images-idx3-ubyte". Fails with `bad_data`.
Result<std::filesystem::path> find_idx(const std::filesystem::path& dir, const std::string& name);

/// Reads an array of unsigned bytes with `dimensions` ≥ 1 extents, plain or gzip. Memory grows only with
/// bytes that are really there, whatever the header claims. Fails with `bad_data` when the file cannot be
/// read, is not of that kind, or is shorter or longer than its header says.
Result<IdxArray> read_idx(const std::filesystem::path& file, std::size_t dimensions);

/// Images [N, H, W] and their labels [N].
struct IdxPair {
  std::filesystem::path images_file;
  std::filesystem::path labels_file;
  IdxArray images;
  IdxArray labels;
};

/// PREFIX-images-idx3-ubyte and PREFIX-labels-idx1-ubyte of a folder; `prefix` is "train" or "t10k". Fails
/// with `bad_data`.
Result<IdxPair> read_idx_pair(const std::filesystem::path& dir, const std::string& prefix);

/// Whether there are as many images as labels; else `bad_data`.
Result<void> check_counts(const IdxPair& pair);

}  // namespace fl
