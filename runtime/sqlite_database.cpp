#include "runtime/sqlite_database.hpp"

#include <sqlite3.h>

#include <utility>

#include "messages/durable_step.hpp"

namespace fl {

namespace {

constexpr int kBusyTimeout_ms = 5'000;

}  // namespace

// -- Rows -----------------------------------------------------------------------------------------

std::int64_t SqlRow::integer(int column) const {
  return sqlite3_column_int64(statement_, column);
}

double SqlRow::number(int column) const {
  return sqlite3_column_double(statement_, column);
}

std::optional<double> SqlRow::optional_number(int column) const {
  if (sqlite3_column_type(statement_, column) == SQLITE_NULL) return std::nullopt;
  return number(column);
}

std::string SqlRow::text(int column) const {
  const auto* const bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  return bytes ? std::string(bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column)))
               : std::string();
}

// -- Connection -----------------------------------------------------------------------------------

void SqliteDatabase::Close::operator()(sqlite3* connection) const {
  sqlite3_close_v2(connection);
}
void SqliteDatabase::Finalize::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}

SqliteDatabase::SqliteDatabase(std::filesystem::path file, std::unique_ptr<sqlite3, Close> connection)
    : file_(std::move(file)), connection_(std::move(connection)) {}

Result<SqliteDatabase> SqliteDatabase::open(const std::filesystem::path& file, Access access) {
  const auto flags =
      access == Access::create ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;
  sqlite3* connection = nullptr;
  const auto code = sqlite3_open_v2(file.c_str(), &connection, flags | SQLITE_OPEN_NOMUTEX, nullptr);
  auto database = SqliteDatabase(file, std::unique_ptr<sqlite3, Close>(connection));
  if (code != SQLITE_OK) return database.error("cannot open");
  sqlite3_busy_timeout(connection, kBusyTimeout_ms);
  return database;
}

tl::unexpected<Error> SqliteDatabase::error(const std::string& what) const {
  const auto* const reason = connection_ ? sqlite3_errmsg(connection_.get()) : "out of memory";
  const auto full = connection_ && sqlite3_errcode(connection_.get()) == SQLITE_FULL;
  return fail(full ? ec::store_full : ec::io_failed, what + " " + file_.string() + ": " + reason);
}

Result<void> SqliteDatabase::script(const std::string& sql) {
  if (sqlite3_exec(connection_.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
    return error("cannot use");
  return {};
}

// -- Statements -----------------------------------------------------------------------------------

Result<sqlite3_stmt*> SqliteDatabase::prepare(const std::string& sql) {
  if (const auto known = statements_.find(sql); known != statements_.end()) return known->second.get();
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v3(connection_.get(), sql.c_str(), static_cast<int>(sql.size()),
                         SQLITE_PREPARE_PERSISTENT, &statement, nullptr) != SQLITE_OK)
    return error("cannot use");
  statements_.emplace(sql, StatementPtr(statement));
  return statement;
}

namespace {

/// A text stays where it is: the values outlive the statement's use.
struct Bind {
  sqlite3_stmt* statement;
  int place;

  int operator()(std::nullptr_t) const { return sqlite3_bind_null(statement, place); }
  int operator()(std::int64_t value) const { return sqlite3_bind_int64(statement, place, value); }
  int operator()(double value) const { return sqlite3_bind_double(statement, place, value); }
  int operator()(const std::string& value) const {
    return sqlite3_bind_text64(statement, place, value.data(), value.size(), SQLITE_STATIC, SQLITE_UTF8);
  }
};

/// Makes a statement ready for its next use when the current one ends.
class Use {
 public:
  explicit Use(sqlite3_stmt* statement) : statement_(statement) {}
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;
  ~Use() {
    sqlite3_reset(statement_);
    sqlite3_clear_bindings(statement_);
  }

 private:
  sqlite3_stmt* statement_;
};

}  // namespace

Result<void> SqliteDatabase::run(const std::string& sql, std::initializer_list<SqlValue> values,
                                 const std::function<void(const SqlRow&)>& row) {
  const auto statement = prepare(sql);
  if (!statement) return tl::unexpected(statement.error());
  const auto use = Use(*statement);
  auto place = 0;
  for (const auto& value : values) {
    if (std::visit(Bind{*statement, ++place}, value) != SQLITE_OK) return error("cannot use");
  }
  auto code = sqlite3_step(*statement);
  for (; code == SQLITE_ROW; code = sqlite3_step(*statement)) {
    if (row) row(SqlRow(*statement));
  }
  if (code != SQLITE_DONE) return error("cannot use");
  return {};
}

// -- Transactions ---------------------------------------------------------------------------------

Result<void> SqliteDatabase::transaction(const std::function<Result<void>()>& work) {
  if (auto ok = run("BEGIN IMMEDIATE"); !ok) return ok;
  auto done = work();
  if (done) done = run("COMMIT");
  if (done) (void)durable_step("committed", file_);  // nothing can fail any more, but the process may end
  // Some failures end the transaction by themselves.
  if (!done && sqlite3_get_autocommit(connection_.get()) == 0) (void)run("ROLLBACK");
  return done;
}

Result<void> SqliteDatabase::durable_transaction(const std::function<Result<void>()>& work) {
  if (auto ok = script("PRAGMA synchronous = FULL"); !ok) return ok;
  auto done = transaction(work);
  if (auto ok = script("PRAGMA synchronous = NORMAL"); !ok) return ok;
  return done;
}

}  // namespace fl
