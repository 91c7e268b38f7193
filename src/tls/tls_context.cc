#include "tls/tls_context.h"

#include <utility>

#include "openssl/ssl.h"

#include "tls/ssl_library.h"

namespace fletching::tls {
namespace {

Status Refuse(const SslLibrary& ssl, const std::string& what, const std::string& file) {
  return InvalidArgument(what + " " + file + " cannot be used: " + LastSslError(ssl));
}

}  // namespace

Result<std::shared_ptr<TlsContext>> TlsContext::Make(bool is_server) {
  ARROW_ASSIGN_OR_RAISE(const SslLibrary* ssl, LoadSsl());
  ssl->err_clear();
  ssl_ctx_st* made = ssl->ctx_new(is_server ? ssl->server_method() : ssl->client_method());
  if (made == nullptr) return Unsupported("TLS: " + LastSslError(*ssl));
  std::shared_ptr<TlsContext> context(new TlsContext(ssl, made));
  ssl->ctx_ctrl(made, SSL_CTRL_SET_MIN_PROTO_VERSION, TLS1_2_VERSION, nullptr);
  // What is sent again after a full socket may lie elsewhere by then, and part of it is progress.
  ssl->ctx_ctrl(made, SSL_CTRL_MODE,
                SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                    SSL_MODE_RELEASE_BUFFERS,
                nullptr);
  return context;
}

TlsContext::~TlsContext() { ssl_->ctx_free(context_); }

Result<std::shared_ptr<const TlsContext>> TlsContext::ForServer(const std::string& certificate,
                                                                const std::string& key) {
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<TlsContext> context, Make(/*is_server=*/true));
  const SslLibrary& ssl = context->ssl();
  if (ssl.use_certificate_chain_file(context->get(), certificate.c_str()) != 1) {
    return Refuse(ssl, "the certificate", certificate);
  }
  if (ssl.use_private_key_file(context->get(), key.c_str(), SSL_FILETYPE_PEM) != 1) {
    return Refuse(ssl, "the private key", key);
  }
  if (ssl.check_private_key(context->get()) != 1) {
    return Refuse(ssl, "the private key", key + " of certificate " + certificate);
  }
  return context;
}

Result<std::shared_ptr<const TlsContext>> TlsContext::ForClient(const std::string& ca) {
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<TlsContext> context, Make(/*is_server=*/false));
  const SslLibrary& ssl = context->ssl();
  ssl.set_verify(context->get(), SSL_VERIFY_PEER, nullptr);
  const bool loaded = ca.empty() ? ssl.set_default_verify_paths(context->get()) == 1
                                 : ssl.load_verify_file(context->get(), ca.c_str()) == 1;
  if (!loaded) return Refuse(ssl, "the file of trusted certificates", ca);
  return context;
}

Result<std::unique_ptr<TlsIdentity>> TlsIdentity::Open(const std::string& certificate,
                                                       const std::string& key) {
  auto identity = std::unique_ptr<TlsIdentity>(new TlsIdentity(certificate, key));
  ARROW_RETURN_NOT_OK(identity->Reload());
  return identity;
}

Status TlsIdentity::Reload() {
  ARROW_ASSIGN_OR_RAISE(auto context, TlsContext::ForServer(certificate_, key_));
  const std::lock_guard lock(mutex_);
  context_ = std::move(context);
  return Status::OK();
}

std::shared_ptr<const TlsContext> TlsIdentity::context() const {
  const std::lock_guard lock(mutex_);
  return context_;
}

}  // namespace fletching::tls
