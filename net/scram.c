/*
 * SCRAM-SHA-256 server side after RFC 5802 and 7677, without channel binding. The server needs two
 * HMACs and two hashes per login; the slow key derivation is the client's work.
 */
#include "net/scram.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>

#include "core/core.h"

enum { KEY_BYTES = 32, NONCE_BYTES = 18, SALT_BYTES = 16, ITERATIONS = 4096, SALT_BYTES_MAX = 256 };

struct scram {
    struct arena *mem;
    bool is_mock;
    uint32_t iterations;
    const char *salt; /* base64 */
    uint8_t stored_key[KEY_BYTES];
    uint8_t server_key[KEY_BYTES];
    const char *client_first_bare;
    const char *server_first;
    const char *nonce;
};

static uint8_t mock_secret[KEY_BYTES]; /* written by scram_start, before any exchange */

void scram_start(void)
{
    core_random_bytes(mock_secret, sizeof(mock_secret));
}

static char *scram_encode(struct arena *mem, const uint8_t *bytes, size_t len)
{
    char *out = arena_alloc(mem, (len + 2) / 3 * 4 + 1);
    EVP_EncodeBlock((unsigned char *)out, bytes, (int)len);
    return out;
}

/* Exactly want bytes, or false. */
static bool scram_decode(const char *text, size_t len, uint8_t *out, size_t want)
{
    uint8_t wide[SALT_BYTES_MAX];
    if (len % 4 != 0 || len / 4 * 3 > sizeof(wide) || len == 0)
        return false;
    int n = EVP_DecodeBlock(wide, (const unsigned char *)text, (int)len);
    if (n < 0)
        return false;
    size_t got = (size_t)n;
    for (size_t i = len; i > 0 && text[i - 1] == '='; i--)
        got--;
    if (got != want)
        return false;
    memcpy(out, wide, want);
    return true;
}

static bool scram_hmac(const uint8_t *key, size_t key_len, const void *data, size_t len,
                       uint8_t out[KEY_BYTES])
{
    unsigned int n = KEY_BYTES;
    return HMAC(EVP_sha256(), key, (int)key_len, data, len, out, &n) != NULL;
}

static bool scram_sha256(const void *data, size_t len, uint8_t out[KEY_BYTES])
{
    unsigned int n = KEY_BYTES;
    return EVP_Digest(data, len, out, &n, EVP_sha256(), NULL) == 1;
}

static bool scram_parse_verifier(struct scram *s, const char *v)
{
    static const char prefix[] = "SCRAM-SHA-256$";
    if (strncmp(v, prefix, sizeof(prefix) - 1) != 0)
        return false;
    char *end;
    unsigned long iterations = strtoul(v + sizeof(prefix) - 1, &end, 10);
    if (*end != ':' || iterations == 0 || iterations > INT32_MAX)
        return false;
    const char *salt = end + 1;
    const char *dollar = strchr(salt, '$');
    const char *colon = dollar ? strchr(dollar, ':') : NULL;
    if (!colon)
        return false;
    s->iterations = (uint32_t)iterations;
    s->salt = arena_strndup(s->mem, salt, (size_t)(dollar - salt));
    return scram_decode(dollar + 1, (size_t)(colon - dollar - 1), s->stored_key, KEY_BYTES) &&
           scram_decode(colon + 1, strlen(colon + 1), s->server_key, KEY_BYTES);
}

/* The same user always sees the same salt, so that a mock can't be told from a real role. */
static void scram_mock(struct scram *s, const char *user)
{
    uint8_t salt[KEY_BYTES] = {0};
    s->is_mock = true;
    s->iterations = ITERATIONS;
    if (!scram_hmac(mock_secret, sizeof(mock_secret), user, strlen(user), salt))
        memset(salt, 0, sizeof(salt));
    s->salt = scram_encode(s->mem, salt, SALT_BYTES);
    core_random_bytes(s->stored_key, KEY_BYTES);
    core_random_bytes(s->server_key, KEY_BYTES);
}

struct scram *scram_new(struct arena *mem, const char *user, const char *verifier)
{
    struct scram *s = ARENA_NEW(mem, struct scram);
    s->mem = mem;
    if (!verifier || !scram_parse_verifier(s, verifier))
        scram_mock(s, user);
    return s;
}

static err_t scram_malformed(const char *detail)
{
    err_t e = err_raise(ERR_PROTOCOL_VIOLATION, "malformed SCRAM message");
    err_detail("%s", detail);
    return e;
}

/* n,[a=authzid],n=user,r=nonce[,...] */
err_t scram_first(struct scram *s, const char *message, size_t len, const char **reply)
{
    char *text = arena_strndup(s->mem, message, len);
    if (strlen(text) != len)
        return scram_malformed("The message length does not match the length of the string.");
    if (text[0] == 'p')
        return err_raise(ERR_PROTOCOL_VIOLATION,
                         "client selected SCRAM-SHA-256 without channel binding, but the SCRAM "
                         "message includes channel binding data");
    if ((text[0] != 'n' && text[0] != 'y') || text[1] != ',')
        return scram_malformed("The channel binding flag is not valid.");
    if (text[2] != ',')
        return err_raise(ERR_FEATURE_NOT_SUPPORTED,
                         "client uses authorization identity, but it is not supported");
    const char *bare = text + 3;
    const char *nonce = strstr(bare, ",r=");
    if (strncmp(bare, "n=", 2) != 0 || !nonce)
        return scram_malformed("The nonce is missing.");
    nonce += 3;
    size_t nonce_len = strcspn(nonce, ",");
    if (nonce_len == 0)
        return scram_malformed("The nonce is empty.");
    for (size_t i = 0; i < nonce_len; i++) {
        if (nonce[i] < 0x21 || nonce[i] > 0x7e)
            return scram_malformed("The nonce contains non-printable characters.");
    }
    uint8_t own[NONCE_BYTES];
    core_random_bytes(own, sizeof(own));
    s->client_first_bare = bare;
    s->nonce = arena_printf(s->mem, "%.*s%s", (int)nonce_len, nonce,
                            scram_encode(s->mem, own, sizeof(own)));
    s->server_first = arena_printf(s->mem, "r=%s,s=%s,i=%u", s->nonce, s->salt, s->iterations);
    *reply = s->server_first;
    return ERR_OK;
}

/* c=biws,r=nonce,p=proof */
err_t scram_final(struct scram *s, const char *message, size_t len, const char **reply, bool *ok)
{
    *ok = false;
    char *text = arena_strndup(s->mem, message, len);
    if (strlen(text) != len)
        return scram_malformed("The message length does not match the length of the string.");
    if (strncmp(text, "c=biws,", 7) != 0 && strncmp(text, "c=eSws,", 7) != 0)
        return scram_malformed("The channel binding attribute is not valid.");
    const char *nonce = text + 7;
    char *proof_at = strstr(nonce, ",p=");
    if (strncmp(nonce, "r=", 2) != 0 || !proof_at)
        return scram_malformed("The proof is missing.");
    nonce += 2;
    size_t nonce_len = strcspn(nonce, ",");
    if (nonce_len != strlen(s->nonce) || memcmp(nonce, s->nonce, nonce_len) != 0)
        return err_raise(ERR_PROTOCOL_VIOLATION, "invalid SCRAM response (nonce mismatch)");
    uint8_t proof[KEY_BYTES];
    if (!scram_decode(proof_at + 3, strlen(proof_at + 3), proof, KEY_BYTES))
        return scram_malformed("The proof is not valid.");
    const char *auth = arena_printf(s->mem, "%s,%s,%.*s", s->client_first_bare, s->server_first,
                                    (int)(proof_at - text), text);
    uint8_t signature[KEY_BYTES];
    uint8_t client_key[KEY_BYTES];
    uint8_t hashed[KEY_BYTES];
    uint8_t server_signature[KEY_BYTES];
    bool computed = scram_hmac(s->stored_key, KEY_BYTES, auth, strlen(auth), signature);
    for (int i = 0; i < KEY_BYTES; i++)
        client_key[i] = proof[i] ^ signature[i];
    computed = computed && scram_sha256(client_key, KEY_BYTES, hashed) &&
               scram_hmac(s->server_key, KEY_BYTES, auth, strlen(auth), server_signature);
    if (!computed)
        return err_raise(ERR_INTERNAL_ERROR, "could not compute SCRAM signatures");
    *ok = CRYPTO_memcmp(hashed, s->stored_key, KEY_BYTES) == 0 && !s->is_mock;
    *reply = arena_printf(s->mem, "v=%s", scram_encode(s->mem, server_signature, KEY_BYTES));
    return ERR_OK;
}

err_t scram_make_verifier(const char *password, struct arena *mem, const char **out)
{
    uint8_t salt[SALT_BYTES];
    uint8_t salted[KEY_BYTES];
    uint8_t client_key[KEY_BYTES];
    uint8_t stored[KEY_BYTES];
    uint8_t server[KEY_BYTES];
    core_random_bytes(salt, sizeof(salt));
    if (PKCS5_PBKDF2_HMAC(password, (int)strlen(password), salt, SALT_BYTES, ITERATIONS,
                          EVP_sha256(), KEY_BYTES, salted) != 1 ||
        !scram_hmac(salted, KEY_BYTES, "Client Key", 10, client_key) ||
        !scram_sha256(client_key, KEY_BYTES, stored) ||
        !scram_hmac(salted, KEY_BYTES, "Server Key", 10, server))
        return err_raise(ERR_INTERNAL_ERROR, "could not derive the password verifier");
    *out = arena_printf(mem, "SCRAM-SHA-256$%d:%s$%s:%s", ITERATIONS,
                        scram_encode(mem, salt, SALT_BYTES), scram_encode(mem, stored, KEY_BYTES),
                        scram_encode(mem, server, KEY_BYTES));
    return ERR_OK;
}
