// A thin, exception-free layer over SQLite: one connection, statements prepared once.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "messages/errors.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace fl {

using SqlValue = std::variant<std::nullptr_t, std::int64_t, double, std::string>;

/// SQLite's integers are signed; SqlRow::count gives the number back.
inline std::int64_t signed_of(std::uint64_t value) {
  return static_cast<std::int64_t>(value);
}

/// One row of an answer, valid during the callback.
class SqlRow {
 public:
  explicit SqlRow(sqlite3_stmt* statement) : statement_(statement) {}

  std::int64_t integer(int column) const;
  std::uint64_t count(int column) const { return static_cast<std::uint64_t>(integer(column)); }
  double number(int column) const;
  std::optional<double> optional_number(int column) const;
  std::string text(int column) const;

 private:
  sqlite3_stmt* statement_;
};

/// One connection; not thread-safe. Failures name the file; they are `store_full` where the disk is, else
/// `io_failed`.
class SqliteDatabase {
 public:
  enum class Access : std::uint8_t { create, read_only };
  static Result<SqliteDatabase> open(const std::filesystem::path& file, Access access);

  /// Several statements without parameters.
  Result<void> script(const std::string& sql);

  /// One statement, with a value for each "?"; `row` is called for each row of the answer.
  Result<void> run(const std::string& sql, std::initializer_list<SqlValue> values = {},
                   const std::function<void(const SqlRow&)>& row = {});

  /// `work` in one transaction, taken back when it fails.
  Result<void> transaction(const std::function<Result<void>()>& work);

  /// The same, and on disk when it returns, even through a power cut.
  Result<void> durable_transaction(const std::function<Result<void>()>& work);

 private:
  struct Close {
    void operator()(sqlite3* connection) const;
  };
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  using StatementPtr = std::unique_ptr<sqlite3_stmt, Finalize>;

  SqliteDatabase(std::filesystem::path file, std::unique_ptr<sqlite3, Close> connection);
  Result<sqlite3_stmt*> prepare(const std::string& sql);
  tl::unexpected<Error> error(const std::string& what) const;

  std::filesystem::path file_;
  std::unique_ptr<sqlite3, Close> connection_;
  std::map<std::string, StatementPtr> statements_;  ///< finalised before the connection closes
};

}  // namespace fl
