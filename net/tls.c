/*
 * TLS by OpenSSL over byte buffers. OpenSSL reads straight from the bytes that have arrived and
 * writes into a buffer that is given back when it is empty, by a BIO of our own: a connection at
 * rest holds no buffers. Its read and write buffers are released while idle too.
 *
 * Sessions are resumed by tickets only: the server keeps nothing for them. The ticket keys belong
 * to the context, so they change with a reload.
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
    const uint8_t *in; /* what is left of the bytes that tls_receive() was given */
    size_t in_bytes;
    uint8_t *out; /* out_begin..out_end is to be sent; NULL: nothing */
    size_t out_begin;
    size_t out_end;
    size_t out_room;
    bool is_ready;
};

enum { OUT_BYTES_MIN = 512 };

static err_t tls_error(const char *what, const char *file)
{
    char reason[256];
    ERR_error_string_n(ERR_get_error(), reason, sizeof(reason));
    ERR_clear_error();
    return err_raise(ERR_CONFIG_FILE_ERROR, "could not %s \"%s\": %s", what, file, reason);
}

/* ---- the BIO ---- */

static int bytes_read(BIO *bio, char *to, int room)
{
    struct tls *t = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (t->in_bytes == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    size_t n = MIN(t->in_bytes, (size_t)room);
    memcpy(to, t->in, n);
    t->in += n;
    t->in_bytes -= n;
    return (int)n;
}

static int bytes_write(BIO *bio, const char *from, int len)
{
    struct tls *t = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    size_t n = (size_t)len;
    if (t->out_end + n > t->out_room) {
        size_t room = MAX(MAX(t->out_room * 2, t->out_end + n), OUT_BYTES_MIN);
        t->out = core_realloc(t->out, room);
        t->out_room = room;
    }
    memcpy(t->out + t->out_end, from, n);
    t->out_end += n;
    return len;
}

static long bytes_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP;
}

static int bytes_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

/* Made with the first context, on the one core that makes them; connections use it until the end
 * of the process. */
static BIO_METHOD *bytes_method;

static bool bytes_method_make(void)
{
    if (bytes_method)
        return true;
    BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "bytes");
    if (!m || !BIO_meth_set_read(m, bytes_read) || !BIO_meth_set_write(m, bytes_write) ||
        !BIO_meth_set_ctrl(m, bytes_ctrl) || !BIO_meth_set_create(m, bytes_create)) {
        BIO_meth_free(m);
        return false;
    }
    bytes_method = m;
    return true;
}

/* ---- contexts ---- */

err_t tls_context_new(const char *cert_file, const char *key_file, struct tls_context **out)
{
    static const unsigned char server_id[] = "percore";
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx || !bytes_method_make()) {
        SSL_CTX_free(ctx);
        return err_raise(ERR_OUT_OF_MEMORY, "could not create TLS context");
    }
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_session_id_context(ctx, server_id, sizeof(server_id) - 1);
    SSL_CTX_set_num_tickets(ctx, 1);
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

/* ---- connections ---- */

struct tls *tls_new(struct tls_context *c)
{
    SSL *ssl = SSL_new(c->ctx);
    BIO *bio = BIO_new(bytes_method);
    if (!ssl || !bio) {
        SSL_free(ssl);
        BIO_free(bio);
        return NULL;
    }
    struct tls *t = core_zalloc(sizeof(*t));
    t->ssl = ssl;
    BIO_set_data(bio, t);
    SSL_set_bio(ssl, bio, bio); /* owned by ssl */
    SSL_set_accept_state(ssl);
    return t;
}

void tls_memory(struct tls *t, void (*piece)(void *p))
{
    piece(t);
    piece(t->out);
}

void tls_free(struct tls *t)
{
    if (!t)
        return;
    SSL_free(t->ssl);
    core_free(t->out);
    core_free(t);
}

/* Fine: progress was made or more bytes are needed. */
static bool tls_continues(struct tls *t, int result)
{
    int code = SSL_get_error(t->ssl, result);
    ERR_clear_error();
    return code == SSL_ERROR_NONE || code == SSL_ERROR_WANT_READ || code == SSL_ERROR_WANT_WRITE;
}

/* Until OpenSSL wants more, which it does only when it has taken everything. */
static bool tls_take(struct tls *t, void (*plain)(void *owner, const uint8_t *bytes, size_t len),
                     void *owner)
{
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

bool tls_receive(struct tls *t, const uint8_t *bytes, size_t len,
                 void (*plain)(void *owner, const uint8_t *bytes, size_t len), void *owner)
{
    t->in = bytes;
    t->in_bytes = len;
    bool ok = tls_take(t, plain, owner);
    ok = ok && t->in_bytes == 0;
    t->in = NULL;
    t->in_bytes = 0;
    return ok;
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
    size_t n = MIN(room, t->out_end - t->out_begin);
    if (n > 0)
        memcpy(out, t->out + t->out_begin, n);
    t->out_begin += n;
    if (t->out_begin < t->out_end)
        return n;
    core_free(t->out);
    t->out = NULL;
    t->out_begin = t->out_end = t->out_room = 0;
    return n;
}

bool tls_is_ready(const struct tls *t)
{
    return t->is_ready;
}
