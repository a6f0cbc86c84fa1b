#include "runtime/credentials.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iterator>
#include <memory>

#include "runtime/openssl_handles.hpp"

namespace fl {

namespace {

/// A file that is longer is no list of ours.
constexpr std::size_t kMaxFile_bytes = std::size_t{64} << 20;

/// Days before a certificate's end from which on it is said at every start.
constexpr int kWarn_days = 21;

using File = std::unique_ptr<std::FILE, ReleaseWith<std::fclose>>;

Result<std::string> read_text(const std::filesystem::path& path, const std::string& key) {
  auto error = std::error_code();
  auto file = std::ifstream(path, std::ios::binary);
  if (!file || std::filesystem::is_directory(path, error))
    return fail(ec::bad_config, key + ": cannot read " + path.string() + ": " +
                                    (file ? "it is a folder" : std::strerror(errno)));
  if (std::filesystem::file_size(path, error) > kMaxFile_bytes)
    return fail(ec::bad_config, key + ": " + path.string() + " is too long for what it should be");
  return std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

/// The words of each line that is no remark.
template <class Take>
Result<void> for_each_line(std::string_view text, Take take) {
  for (auto number = 1; !text.empty(); ++number) {
    const auto end = text.find('\n');
    auto line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    line = line.substr(0, line.find('#'));
    auto words = std::vector<std::string_view>();
    while (true) {
      const auto first = line.find_first_not_of(" \t\r");
      if (first == std::string_view::npos) break;
      const auto last = std::min(line.find_first_of(" \t\r", first), line.size());
      words.push_back(line.substr(first, last - first));
      line = line.substr(last);
    }
    if (words.empty()) continue;
    if (auto ok = take(number, words); !ok) return ok;
  }
  return {};
}

std::string openssl_reason() {
  const auto code = ::ERR_peek_last_error();
  ::ERR_clear_error();
  const auto* const reason = ::ERR_reason_error_string(code);
  return reason != nullptr ? reason : "it is not in PEM form";
}

Result<OpensslCertificate> read_certificate(const std::filesystem::path& path, const std::string& key) {
  const auto file = File(std::fopen(path.c_str(), "re"));
  if (!file)
    return fail(ec::bad_config, key + ": cannot read " + path.string() + ": " + std::strerror(errno));
  auto certificate = OpensslCertificate(::PEM_read_X509(file.get(), nullptr, nullptr, nullptr));
  if (!certificate)
    return fail(ec::bad_config, key + ": " + path.string() + " holds no certificate: " + openssl_reason());
  return certificate;
}

void warn_of_expiry(const X509& certificate, const std::filesystem::path& path) {
  auto days = 0;
  auto seconds = 0;
  if (::ASN1_TIME_diff(&days, &seconds, nullptr, ::X509_get0_notAfter(&certificate)) != 1) return;
  auto end = std::tm();
  ::ASN1_TIME_to_tm(::X509_get0_notAfter(&certificate), &end);
  char date[16] = {};
  std::strftime(date, sizeof date, "%Y-%m-%d", &end);
  if (days < 0 || seconds < 0)
    spdlog::error("the certificate {} expired on {}: the other side refuses it; make new keys", path.string(),
                  date);
  else if (days < kWarn_days)
    spdlog::warn(
        "the certificate {} expires on {}, in {} days; a new file is used from the next connection on",
        path.string(), date, days);
}

Result<void> check_tls(const NetOptions& net) {
  if (!net.tls()) return {};
  auto authority = read_certificate(net.tls_ca, "net.tls.ca");
  if (!authority) return tl::unexpected(authority.error());
  auto certificate = read_certificate(net.tls_certificate, "net.tls.certificate");
  if (!certificate) return tl::unexpected(certificate.error());
  if (auto ok = check_secret(net.tls_key); !ok) return ok;
  const auto file = File(std::fopen(net.tls_key.c_str(), "re"));
  if (!file)
    return fail(ec::bad_config,
                "net.tls.key: cannot read " + net.tls_key.string() + ": " + std::strerror(errno));
  const auto key = OpensslKey(::PEM_read_PrivateKey(file.get(), nullptr, nullptr, nullptr));
  if (!key)
    return fail(ec::bad_config,
                "net.tls.key: " + net.tls_key.string() + " holds no private key: " + openssl_reason());
  if (::X509_check_private_key(certificate->get(), key.get()) != 1)
    return fail(ec::bad_config, "net.tls.key: " + net.tls_key.string() +
                                    " does not belong to the certificate " + net.tls_certificate.string());
  ::ERR_clear_error();
  warn_of_expiry(**certificate, net.tls_certificate);
  warn_of_expiry(**authority, net.tls_ca);
  return {};
}

}  // namespace

Result<void> check_secret(const std::filesystem::path& file) {
  struct stat status = {};
  if (::stat(file.c_str(), &status) != 0)
    return fail(ec::bad_config, "cannot read " + file.string() + ": " + std::strerror(errno));
  if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    return fail(
        ec::bad_config,
        file.string() + " is a secret that others on this machine may read; say chmod 600 " + file.string());
  return {};
}

Result<SigningKey> read_identity(const std::filesystem::path& file) {
  if (auto ok = check_secret(file); !ok) return tl::unexpected(ok.error());
  const auto text = read_text(file, "net.identity");
  if (!text) return tl::unexpected(text.error());
  auto key = Result<SigningKey>(tl::unexpect, Error{ec::bad_config, "there is no key in it"});
  auto lines = 0;
  auto ok = for_each_line(*text, [&](int, const std::vector<std::string_view>& words) -> Result<void> {
    if (++lines > 1 || words.size() != 1)
      key = fail(ec::bad_config, "it must hold one line with the key");
    else
      key = SigningKey::parse(words.front());
    return {};
  });
  if (!key) return fail(ec::bad_config, "net.identity: " + file.string() + ": " + key.error().text);
  return key;
}

std::string identity_text(const std::string& name, const SigningKey& key) {
  return "# Ed25519 identity of " + name + " in a federation of fl_actor. Secret: whoever has this file is " +
         name + ".\n# public key: " + key.public_key().text() + "\n" + key.secret_text() + "\n";
}

Result<AllowList> parse_allow_list(std::string_view text, const std::string& name) {
  auto allowed = AllowList();
  auto ok = for_each_line(text, [&](int line, const std::vector<std::string_view>& words) -> Result<void> {
    const auto refuse = [&](const std::string& why) {
      return fail(ec::bad_config, name + ":" + std::to_string(line) + ": " + why);
    };
    if (words.size() != 2) return refuse("a line has a client's name and its public key");
    if (!is_client_name(words[0]))
      return refuse("\"" + std::string(words[0].substr(0, 80)) +
                    "\" is no name of a client: 1 to 64 letters, digits, dots, dashes and underscores");
    auto key = PublicKey::parse(words[1]);
    if (!key) return refuse(key.error().text);
    if (!allowed.emplace(words[0], *key).second)
      return refuse("\"" + std::string(words[0]) + "\" is listed twice");
    return {};
  });
  if (!ok) return tl::unexpected(ok.error());
  return allowed;
}

Result<AllowListPtr> read_allow_list(const std::filesystem::path& file) {
  const auto text = read_text(file, "net.allow_list");
  if (!text) return tl::unexpected(text.error());
  auto allowed = parse_allow_list(*text, file.string());
  if (!allowed) return tl::unexpected(allowed.error());
  return std::make_shared<const AllowList>(std::move(*allowed));
}

std::string allow_list_line(const std::string& name, const PublicKey& key) {
  return name + " " + key.text() + "\n";
}

Result<Credentials> load_credentials(const NetOptions& net) {
  auto credentials = Credentials();
  if (auto ok = check_tls(net); !ok) return tl::unexpected(ok.error());
  if (!net.identity.empty()) {
    auto identity = read_identity(net.identity);
    if (!identity) return tl::unexpected(identity.error());
    credentials.identity = std::move(*identity);
  }
  if (!net.allow_list.empty()) {
    auto allowed = read_allow_list(net.allow_list);
    if (!allowed) return tl::unexpected(allowed.error());
    credentials.allowed = std::move(*allowed);
  }
  if (!net.aggregator_key.empty()) {
    auto key = PublicKey::parse(net.aggregator_key);
    if (!key) return tl::unexpected(key.error());
    credentials.aggregator = *key;
  }
  return credentials;
}

}  // namespace fl
