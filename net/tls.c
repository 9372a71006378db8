/* TLS by OpenSSL with memory BIOs; read and write buffers are released while a connection is idle.
 */
#include "net/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "core/core.h"

struct tls_context {
    SSL_CTX *ctx;
};

struct tls {
    SSL *ssl;
    BIO *in;  /* owned by ssl */
    BIO *out; /* owned by ssl */
    bool is_ready;
};

static err_t tls_error(const char *what, const char *file)
{
    char reason[256];
    ERR_error_string_n(ERR_get_error(), reason, sizeof(reason));
    ERR_clear_error();
    return err_raise(ERR_CONFIG_FILE_ERROR, "could not %s \"%s\": %s", what, file, reason);
}

err_t tls_context_new(const char *cert_file, const char *key_file, struct tls_context **out)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx)
        return err_raise(ERR_OUT_OF_MEMORY, "could not create TLS context");
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    err_t e = ERR_OK;
    if (SSL_CTX_use_certificate_chain_file(ctx, cert_file) != 1)
        e = tls_error("load server certificate file", cert_file);
    else if (SSL_CTX_use_PrivateKey_file(ctx, key_file, SSL_FILETYPE_PEM) != 1 ||
             SSL_CTX_check_private_key(ctx) != 1)
        e = tls_error("load private key file", key_file);
    if (e != ERR_OK) {
        SSL_CTX_free(ctx);
        return e;
    }
    *out = core_zalloc(sizeof(**out));
    (*out)->ctx = ctx;
    return ERR_OK;
}

void tls_context_free(struct tls_context *c)
{
    if (!c)
        return;
    SSL_CTX_free(c->ctx); /* connections hold references of their own */
    core_free(c);
}

struct tls *tls_new(struct tls_context *c)
{
    SSL *ssl = SSL_new(c->ctx);
    BIO *in = BIO_new(BIO_s_mem());
    BIO *out = BIO_new(BIO_s_mem());
    if (!ssl || !in || !out) {
        SSL_free(ssl);
        BIO_free(in);
        BIO_free(out);
        return NULL;
    }
    SSL_set_bio(ssl, in, out);
    SSL_set_accept_state(ssl);
    struct tls *t = core_zalloc(sizeof(*t));
    t->ssl = ssl;
    t->in = in;
    t->out = out;
    return t;
}

void tls_memory(struct tls *t, void (*piece)(void *p))
{
    piece(t);
}

void tls_free(struct tls *t)
{
    if (!t)
        return;
    SSL_free(t->ssl);
    core_free(t);
}

/* Fine: progress was made or more bytes are needed. */
static bool tls_continues(struct tls *t, int result)
{
    int code = SSL_get_error(t->ssl, result);
    ERR_clear_error();
    return code == SSL_ERROR_NONE || code == SSL_ERROR_WANT_READ || code == SSL_ERROR_WANT_WRITE;
}

bool tls_receive(struct tls *t, const uint8_t *bytes, size_t len,
                 void (*plain)(void *owner, const uint8_t *bytes, size_t len), void *owner)
{
    ASSERT(len <= INT32_MAX);
    if (BIO_write(t->in, bytes, (int)len) != (int)len)
        return false;
    if (!t->is_ready) {
        int result = SSL_do_handshake(t->ssl);
        if (result != 1)
            return tls_continues(t, result);
        t->is_ready = true;
    }
    uint8_t buffer[4096];
    for (;;) {
        int n = SSL_read(t->ssl, buffer, sizeof(buffer));
        if (n <= 0)
            return tls_continues(t, n);
        plain(owner, buffer, (size_t)n);
    }
}

bool tls_send(struct tls *t, const void *bytes, size_t len)
{
    const uint8_t *p = bytes;
    while (len > 0) {
        int n = SSL_write(t->ssl, p, (int)MIN(len, 1 << 20));
        if (n <= 0)
            return false;
        p += n;
        len -= (size_t)n;
    }
    return true;
}

size_t tls_output(struct tls *t, uint8_t *out, size_t room)
{
    int n = BIO_read(t->out, out, (int)MIN(room, INT32_MAX));
    return n > 0 ? (size_t)n : 0;
}

bool tls_is_ready(const struct tls *t)
{
    return t->is_ready;
}
