#include "runtime/key_maker.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <sys/stat.h>

#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <set>

#include "messages/identity.hpp"
#include "runtime/atomic_file.hpp"
#include "runtime/credentials.hpp"
#include "runtime/openssl_handles.hpp"

namespace fl {

namespace {

namespace fs = std::filesystem;

constexpr auto kAuthorityDays = 3650;
/// Clocks of other machines may be behind by so much.
constexpr long kBackdate_seconds = 3600;
constexpr long kDay_seconds = 24 * 3600;

/// Names that other files of the folder have.
const auto kReserved = std::set<std::string>{"ca", "aggregator", "allow_list"};

tl::unexpected<Error> openssl_failed(const std::string& what) {
  const auto* const reason = ::ERR_reason_error_string(::ERR_peek_last_error());
  ::ERR_clear_error();
  return fail(ec::internal, what + ": " + (reason != nullptr ? reason : "OpenSSL does not say why"));
}

Result<OpensslKey> make_key() {
  // P-256: what every TLS library takes.
  auto key = OpensslKey(::EVP_EC_gen("P-256"));
  if (!key) return openssl_failed("cannot make a key");
  return key;
}

/// A certificate for `name`. Signed by the authority, or, without one, by itself: then it is one.
struct Issuer {
  const X509* certificate = nullptr;
  EVP_PKEY* key = nullptr;
};

bool add_extension(X509* certificate, const X509* issuer, int id, const char* value) {
  auto context = X509V3_CTX();
  X509V3_set_ctx_nodb(&context);
  ::X509V3_set_ctx(&context, const_cast<X509*>(issuer), certificate, nullptr, nullptr, 0);
  const auto extension = OpensslExtension(::X509V3_EXT_conf_nid(nullptr, &context, id, value));
  return extension && ::X509_add_ext(certificate, extension.get(), -1) == 1;
}

Result<OpensslCertificate> make_certificate(const std::string& name, EVP_PKEY* key, const Issuer& issuer,
                                            int days) {
  auto certificate = OpensslCertificate(::X509_new());
  auto serial = std::uint64_t{0};
  const auto failed = [] { return openssl_failed("cannot make a certificate"); };
  if (!certificate || ::RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial) != 1)
    return failed();
  auto* const made = certificate.get();
  auto* const subject = ::X509_get_subject_name(made);
  const auto entry = [&](const char* field, const std::string& value) {
    return ::X509_NAME_add_entry_by_txt(subject, field, MBSTRING_UTF8,
                                        reinterpret_cast<const unsigned char*>(value.data()),
                                        static_cast<int>(value.size()), -1, 0) == 1;
  };
  const auto is_authority = issuer.certificate == nullptr;
  const auto* const signer = is_authority ? made : issuer.certificate;
  auto ok = ::X509_set_version(made, X509_VERSION_3) == 1 &&
            ::ASN1_INTEGER_set_uint64(::X509_get_serialNumber(made), serial >> 1) == 1 &&
            ::X509_gmtime_adj(::X509_getm_notBefore(made), -kBackdate_seconds) != nullptr &&
            ::X509_gmtime_adj(::X509_getm_notAfter(made), days * kDay_seconds) != nullptr &&
            entry("O", "fl_actor federation") && entry("CN", name) && ::X509_set_pubkey(made, key) == 1 &&
            ::X509_set_issuer_name(made, ::X509_get_subject_name(signer)) == 1;
  ok = ok && add_extension(made, signer, NID_subject_key_identifier, "hash");
  if (is_authority)
    ok = ok && add_extension(made, signer, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
         add_extension(made, signer, NID_key_usage, "critical,keyCertSign,cRLSign");
  else
    ok = ok && add_extension(made, signer, NID_basic_constraints, "critical,CA:FALSE") &&
         add_extension(made, signer, NID_key_usage, "critical,digitalSignature") &&
         add_extension(made, signer, NID_ext_key_usage, "serverAuth,clientAuth") &&
         add_extension(made, signer, NID_authority_key_identifier, "keyid") &&
         add_extension(made, signer, NID_subject_alt_name, ("DNS:" + name).c_str());
  if (!ok || ::X509_sign(made, is_authority ? key : issuer.key, ::EVP_sha256()) == 0) return failed();
  return certificate;
}

template <class Write>
Result<std::string> to_pem(Write write) {
  const auto memory = OpensslMemory(::BIO_new(::BIO_s_mem()));
  if (!memory || write(memory.get()) != 1) return openssl_failed("cannot write PEM");
  char* text = nullptr;
  const auto length = BIO_get_mem_data(memory.get(), &text);
  return std::string(text, static_cast<std::size_t>(length));
}

Result<std::string> pem_of(EVP_PKEY* key) {
  return to_pem(
      [&](BIO* out) { return ::PEM_write_bio_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr); });
}

Result<std::string> pem_of(const X509* certificate) {
  return to_pem([&](BIO* out) { return ::PEM_write_bio_X509(out, const_cast<X509*>(certificate)); });
}

Result<std::string> read_all(const fs::path& path) {
  auto file = std::ifstream(path, std::ios::binary);
  if (!file) return fail(ec::bad_config, "cannot read " + path.string());
  return std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

/// Files to be written together: none is, before all could be made.
struct NewFile {
  std::string text;
  bool secret = false;
};
using NewFiles = std::map<fs::path, NewFile>;

Result<void> write_files(const NewFiles& files) {
  for (const auto& [path, file] : files) {
    // Secrets are never readable for others, not even for a moment.
    const auto before = ::umask(file.secret ? 0077 : 0022);
    auto ok = write_atomically(path, file.text);
    ::umask(before);
    if (ok && ::chmod(path.c_str(), file.secret ? 0600 : 0644) != 0)
      ok = tl::unexpected(system_error("cannot set the mode of", path));
    if (!ok) return fail(ec::bad_config, ok.error().text);
  }
  return {};
}

std::string toml_of(const std::string& name, const std::string& head, const std::string& net) {
  return head + "\n[net]\n" + net + "identity = \"" + name + ".identity\"\n\n[net.tls]\ncertificate = \"" +
         name + ".pem\"\nkey = \"" + name + ".key\"\nca = \"ca.pem\"\n";
}

/// Certificate, its key and an identity for one node.
Result<SigningKey> add_node(NewFiles& files, const KeyOptions& options, const std::string& name,
                            const Issuer& authority) {
  const auto key = make_key();
  if (!key) return tl::unexpected(key.error());
  const auto certificate = make_certificate(name, key->get(), authority, options.days);
  if (!certificate) return tl::unexpected(certificate.error());
  auto key_text = pem_of(key->get());
  auto certificate_text = pem_of(certificate->get());
  if (!key_text) return tl::unexpected(key_text.error());
  if (!certificate_text) return tl::unexpected(certificate_text.error());
  auto identity = SigningKey::generate();
  files[options.folder / (name + ".key")] = {std::move(*key_text), true};
  files[options.folder / (name + ".pem")] = {std::move(*certificate_text), false};
  files[options.folder / (name + ".identity")] = {identity_text(name, identity), true};
  return identity;
}

constexpr const char* kAllowListHead =
    "# The clients that may join: name and public key. The aggregator reads it again at SIGHUP.\n";

std::string text_of(const AllowList& allowed) {
  auto text = std::string(kAllowListHead);
  for (const auto& [name, key] : allowed) text += allow_list_line(name, key);
  return text;
}

Result<AllowList> allow_list_in(const fs::path& folder) {
  const auto path = folder / "allow_list";
  const auto text = read_all(path);
  if (!text) return tl::unexpected(text.error());
  return parse_allow_list(*text, path.string());
}

}  // namespace

Result<void> make_federation_keys(const KeyOptions& options) {
  const auto& folder = options.folder;
  auto error = std::error_code();
  for (const auto* name : {"ca.pem", "ca.key", "allow_list", "aggregator.toml"})
    if (fs::exists(folder / name, error))
      return fail(ec::bad_config,
                  (folder / name).string() +
                      " exists: this folder holds a federation's keys. Add clients with `fl_actor_node "
                      "keys client NAME`, or choose another folder");
  fs::create_directories(folder, error);
  if (error) return fail(ec::bad_config, "cannot create " + folder.string() + ": " + error.message());

  const auto key = make_key();
  if (!key) return tl::unexpected(key.error());
  const auto authority = make_certificate("fl_actor authority", key->get(), {}, kAuthorityDays);
  if (!authority) return tl::unexpected(authority.error());
  auto key_text = pem_of(key->get());
  auto authority_text = pem_of(authority->get());
  if (!key_text) return tl::unexpected(key_text.error());
  if (!authority_text) return tl::unexpected(authority_text.error());

  auto files = NewFiles();
  files[folder / "ca.key"] = {std::move(*key_text), true};
  files[folder / "ca.pem"] = {std::move(*authority_text), false};
  files[folder / "allow_list"] = {text_of({}), false};
  if (auto identity = add_node(files, options, "aggregator", {authority->get(), key->get()}); !identity)
    return tl::unexpected(identity.error());
  files[folder / "aggregator.toml"] = {
      toml_of("aggregator",
              "# For the aggregator, beside the settings of the run:\n"
              "#   fl_actor_node --role aggregator --config RUN.toml --config aggregator.toml --out DIR\n",
              "bind = \"0.0.0.0\"\nallow_list = \"allow_list\"\n"),
      false};
  return write_files(files);
}

Result<void> make_client_keys(const KeyOptions& options, const std::string& name) {
  const auto& folder = options.folder;
  if (!is_client_name(name) || kReserved.contains(name))
    return fail(ec::bad_config,
                "\"" + name +
                    "\" cannot be a client's name here: 1 to 64 letters, digits, dots, dashes and "
                    "underscores, beginning with a letter, a digit or '_', and none of ca, aggregator, "
                    "allow_list");
  const auto authority_text = read_all(folder / "ca.pem");
  const auto key_text = read_all(folder / "ca.key");
  if (!authority_text || !key_text)
    return fail(ec::bad_config,
                folder.string() +
                    " holds no federation's authority (ca.pem and ca.key); make it with `fl_actor_node "
                    "keys init " +
                    folder.string() + "`");
  const auto read = [](const std::string& text, auto parse) {
    const auto memory = OpensslMemory(::BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
    return parse(memory.get(), nullptr, nullptr, nullptr);
  };
  const auto authority = OpensslCertificate(read(*authority_text, ::PEM_read_bio_X509));
  const auto key = OpensslKey(read(*key_text, ::PEM_read_bio_PrivateKey));
  if (!authority || !key) return openssl_failed((folder / "ca.pem").string() + " or ca.key cannot be read");
  auto allowed = allow_list_in(folder);
  if (!allowed) return tl::unexpected(allowed.error());
  const auto aggregator = read_identity(folder / "aggregator.identity");
  if (!aggregator) return tl::unexpected(aggregator.error());

  auto files = NewFiles();
  const auto identity = add_node(files, options, name, {authority.get(), key.get()});
  if (!identity) return tl::unexpected(identity.error());
  (*allowed)[name] = identity->public_key();
  files[folder / "allow_list"] = {text_of(*allowed), false};
  files[folder / (name + ".toml")] = {
      toml_of(name,
              "# For the client " + name +
                  ". Carry it to the client's machine with the files that it names:\n"
                  "#   fl_actor_node --role client --join HOST --config " +
                  name + ".toml\n\n[client]\nname = \"" + name + "\"\n",
              "aggregator_key = \"" + aggregator->public_key().text() + "\"\n"),
      false};
  return write_files(files);
}

Result<void> revoke_client(const fs::path& folder, const std::string& name) {
  auto allowed = allow_list_in(folder);
  if (!allowed) return tl::unexpected(allowed.error());
  if (allowed->erase(name) == 0)
    return fail(ec::bad_config, "\"" + name + "\" is not on " + (folder / "allow_list").string());
  return write_files({{folder / "allow_list", {text_of(*allowed), false}}});
}

}  // namespace fl
