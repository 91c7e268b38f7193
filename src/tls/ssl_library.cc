#include "tls/ssl_library.h"

#include <array>

#include "base/system_library.h"

namespace fletching::tls {
namespace {

Status FindAll(const SystemLibrary& ssl, const SystemLibrary& crypto, SslLibrary* found) {
  const auto find = [&](const SystemLibrary& library, const char* name, auto** function) {
    return library.Find(name, function);
  };
  ARROW_RETURN_NOT_OK(find(ssl, "TLS_server_method", &found->server_method));
  ARROW_RETURN_NOT_OK(find(ssl, "TLS_client_method", &found->client_method));
  ARROW_RETURN_NOT_OK(find(ssl, "SSL_CTX_new", &found->ctx_new));
  ARROW_RETURN_NOT_OK(find(ssl, "SSL_CTX_free", &found->ctx_free));
  ARROW_RETURN_NOT_OK(find(ssl, "SSL_CTX_ctrl", &found->ctx_ctrl));
  ARROW_RETURN_NOT_OK(
      find(ssl, "SSL_CTX_use_certificate_chain_file", &found->use_certificate_chain_file));
  ARROW_RETURN_NOT_OK(find(ssl, "SSL_CTX_use_PrivateKey_file", &found->use_private_key_file));
  ARROW_RETURN_NOT_OK(find(ssl, "SSL_CTX_check_private_key", &found->check_private_key));
  ARROW_RETURN_NOT_OK(find(ssl, "SSL_CTX_load_verify_file", &found->load_verify_file));
  ARROW_RETURN_NOT_OK(
      find(ssl, "SSL_CTX_set_default_verify_paths", &found->set_default_verify_paths));
  ARROW_RETURN_NOT_OK(find(ssl, "SSL_CTX_set_verify", &found->set_verify));
  ARROW_RETURN_NOT_OK(find(ssl, "SSL_new", &found->ssl_new));
  ARROW_RETURN_NOT_OK(find(ssl, "SSL_free", &found->ssl_free));
  ARROW_RETURN_NOT_OK(find(ssl, "SSL_ctrl", &found->ssl_ctrl));
  ARROW_RETURN_NOT_OK(find(ssl, "SSL_set_fd", &found->set_fd));
  ARROW_RETURN_NOT_OK(find(ssl, "SSL_set1_host", &found->set1_host));
  ARROW_RETURN_NOT_OK(find(ssl, "SSL_get0_param", &found->get0_param));
  ARROW_RETURN_NOT_OK(find(ssl, "SSL_get_verify_result", &found->get_verify_result));
  ARROW_RETURN_NOT_OK(find(ssl, "SSL_set_accept_state", &found->set_accept_state));
  ARROW_RETURN_NOT_OK(find(ssl, "SSL_set_connect_state", &found->set_connect_state));
  ARROW_RETURN_NOT_OK(find(ssl, "SSL_read", &found->read));
  ARROW_RETURN_NOT_OK(find(ssl, "SSL_write", &found->write));
  ARROW_RETURN_NOT_OK(find(ssl, "SSL_shutdown", &found->shutdown));
  ARROW_RETURN_NOT_OK(find(ssl, "SSL_get_error", &found->get_error));
  ARROW_RETURN_NOT_OK(find(crypto, "X509_VERIFY_PARAM_set1_ip_asc", &found->set1_ip_asc));
  ARROW_RETURN_NOT_OK(find(crypto, "X509_verify_cert_error_string", &found->verify_error_text));
  ARROW_RETURN_NOT_OK(find(crypto, "ERR_clear_error", &found->err_clear));
  ARROW_RETURN_NOT_OK(find(crypto, "ERR_get_error", &found->err_get));
  return find(crypto, "ERR_error_string_n", &found->err_text);
}

Result<SslLibrary> Load() {
  ARROW_ASSIGN_OR_RAISE(const SystemLibrary crypto,
                        SystemLibrary::Open("libcrypto.so.3", "libssl3"));
  ARROW_ASSIGN_OR_RAISE(const SystemLibrary ssl, SystemLibrary::Open("libssl.so.3", "libssl3"));
  SslLibrary found{};
  ARROW_RETURN_NOT_OK(FindAll(ssl, crypto, &found));
  return found;
}

}  // namespace

Result<const SslLibrary*> LoadSsl() {
  static const Result<SslLibrary> loaded = Load();
  ARROW_RETURN_NOT_OK(loaded);
  return &*loaded;
}

std::string LastSslError(const SslLibrary& ssl) {
  const unsigned long code = ssl.err_get();
  ssl.err_clear();
  if (code == 0) return "no reason is told";
  std::array<char, 256> text = {};
  ssl.err_text(code, text.data(), text.size());
  // "error:0A000086:SSL routines::certificate verify failed": the last part is for people.
  const std::string all = text.data();
  return all.substr(all.rfind(':') + 1);
}

}  // namespace fletching::tls
