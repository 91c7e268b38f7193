// The functions of libssl and libcrypto that we call, from the system's libraries: libparquet of
// the wheel exports the names of libcrypto, so they are loaded apart (docs/decisions/0008).
#pragma once

#include <string>

#include "fletching/status.h"

struct ssl_ctx_st;
struct ssl_method_st;
struct ssl_st;
struct x509_verify_param_st;

namespace fletching::tls {

struct SslLibrary {
  const ssl_method_st* (*server_method)();
  const ssl_method_st* (*client_method)();
  ssl_ctx_st* (*ctx_new)(const ssl_method_st*);
  void (*ctx_free)(ssl_ctx_st*);
  long (*ctx_ctrl)(ssl_ctx_st*, int, long, void*);
  int (*use_certificate_chain_file)(ssl_ctx_st*, const char*);
  int (*use_private_key_file)(ssl_ctx_st*, const char*, int);
  int (*check_private_key)(const ssl_ctx_st*);
  int (*load_verify_file)(ssl_ctx_st*, const char*);
  int (*set_default_verify_paths)(ssl_ctx_st*);
  void (*set_verify)(ssl_ctx_st*, int, int (*)(int, struct x509_store_ctx_st*));
  ssl_st* (*ssl_new)(ssl_ctx_st*);
  void (*ssl_free)(ssl_st*);
  long (*ssl_ctrl)(ssl_st*, int, long, void*);
  int (*set_fd)(ssl_st*, int);
  int (*set1_host)(ssl_st*, const char*);
  x509_verify_param_st* (*get0_param)(ssl_st*);
  int (*set1_ip_asc)(x509_verify_param_st*, const char*);
  long (*get_verify_result)(const ssl_st*);
  const char* (*verify_error_text)(long);
  void (*set_accept_state)(ssl_st*);
  void (*set_connect_state)(ssl_st*);
  int (*read)(ssl_st*, void*, int);
  int (*write)(ssl_st*, const void*, int);
  int (*shutdown)(ssl_st*);
  int (*get_error)(const ssl_st*, int);
  void (*err_clear)();
  unsigned long (*err_get)();
  void (*err_text)(unsigned long, char*, size_t);
};

// Loads them at the first call. Errors: kUnsupported naming the package to install.
Result<const SslLibrary*> LoadSsl();

// The oldest error that OpenSSL has of this thread, in words; forgets the others.
std::string LastSslError(const SslLibrary& ssl);

}  // namespace fletching::tls
