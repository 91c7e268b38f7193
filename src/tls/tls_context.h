// What connections of one side share: a server's certificate, or whom a client trusts.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "fletching/status.h"

struct ssl_ctx_st;

namespace fletching::tls {

struct SslLibrary;

// TLS 1.2 and newer. Threads: any.
class TlsContext {
 public:
  // `certificate`: a file in PEM, the server's own first, then those that lead to the root.
  // Errors: kInvalidArgument naming the file, kUnsupported as LoadSsl.
  static Result<std::shared_ptr<const TlsContext>> ForServer(const std::string& certificate,
                                                             const std::string& key);
  // `ca`: a file in PEM of those it trusts; empty: those that the system trusts.
  static Result<std::shared_ptr<const TlsContext>> ForClient(const std::string& ca);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  const SslLibrary& ssl() const { return *ssl_; }
  ssl_ctx_st* get() const { return context_; }

 private:
  TlsContext(const SslLibrary* ssl, ssl_ctx_st* context) : ssl_(ssl), context_(context) {}
  static Result<std::shared_ptr<TlsContext>> Make(bool is_server);

  const SslLibrary* const ssl_;
  ssl_ctx_st* const context_;
};

// A server's certificate and key, which are renewed while it runs. Threads: any.
class TlsIdentity {
 public:
  // Errors: as TlsContext::ForServer.
  static Result<std::unique_ptr<TlsIdentity>> Open(const std::string& certificate,
                                                   const std::string& key);
  // For connections that begin from now on. After an error those of before are used.
  Status Reload();
  std::shared_ptr<const TlsContext> context() const;

 private:
  TlsIdentity(std::string certificate, std::string key)
      : certificate_(std::move(certificate)), key_(std::move(key)) {}

  const std::string certificate_;
  const std::string key_;
  mutable std::mutex mutex_;
  std::shared_ptr<const TlsContext> context_;
};

}  // namespace fletching::tls
