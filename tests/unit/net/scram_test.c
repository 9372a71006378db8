/* SCRAM-SHA-256: the exchange of RFC 7677 with a client computed here, wrong passwords, broken
 * messages. */
#include "net/scram.c"

#include "tests/unit/core/unit.h"

static struct arena *mem;

/* What a client answers to server-first, for a password. */
static const char *client_final(const char *client_bare, const char *server_first,
                                const char *password, bool break_nonce)
{
    char nonce[256];
    char salt64[256];
    int rounds = 0;
    CHECK(sscanf(server_first, "r=%255[^,],s=%255[^,],i=%d", nonce, salt64, &rounds) == 3);
    uint8_t salt[SALT_BYTES];
    uint8_t salted[KEY_BYTES];
    uint8_t client_key[KEY_BYTES];
    uint8_t stored[KEY_BYTES];
    uint8_t signature[KEY_BYTES];
    CHECK(scram_decode(salt64, strlen(salt64), salt, SALT_BYTES));
    PKCS5_PBKDF2_HMAC(password, (int)strlen(password), salt, SALT_BYTES, rounds, EVP_sha256(),
                      KEY_BYTES, salted);
    CHECK(scram_hmac(salted, KEY_BYTES, "Client Key", 10, client_key));
    CHECK(scram_sha256(client_key, KEY_BYTES, stored));
    const char *without_proof = arena_printf(mem, "c=biws,r=%s%s", nonce, break_nonce ? "x" : "");
    const char *auth = arena_printf(mem, "%s,%s,%s", client_bare, server_first, without_proof);
    CHECK(scram_hmac(stored, KEY_BYTES, auth, strlen(auth), signature));
    for (int i = 0; i < KEY_BYTES; i++)
        client_key[i] ^= signature[i];
    return arena_printf(mem, "%s,p=%s", without_proof, scram_encode(mem, client_key, KEY_BYTES));
}

static bool login(const char *verifier, const char *password)
{
    static const char first[] = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
    struct scram *s = scram_new(mem, "user", verifier);
    const char *reply = NULL;
    bool ok = false;
    CHECK_OK(scram_first(s, first, strlen(first), &reply));
    const char *final = client_final(first + 3, reply, password, false);
    CHECK_OK(scram_final(s, final, strlen(final), &reply, &ok));
    CHECK(strncmp(reply, "v=", 2) == 0);
    return ok;
}

static void body(void)
{
    mem = arena_new();
    scram_start();
    const char *verifier = NULL;
    CHECK_OK(scram_make_verifier("secret", mem, &verifier));
    CHECK(login(verifier, "secret"));
    CHECK(!login(verifier, "Secret"));
    CHECK(!login(verifier, ""));
    CHECK(!login(NULL, "secret"));        /* unknown role */
    CHECK(!login("md5abcdef", "secret")); /* not a SCRAM verifier */
    static const char *const broken[] = {
        "",          "n,,",           "n,,n=user",   "p=x,,n=u,r=abc", "n,a=x,n=u,r=abc",
        "n,,n=u,r=", "n,,n=u,r=a\tb", "x,,n=u,r=abc"};
    for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
        const char *reply;
        struct scram *s = scram_new(mem, "user", verifier);
        CHECK(scram_first(s, broken[i], strlen(broken[i]), &reply) != ERR_OK);
    }
    static const char first[] = "n,,n=user,r=abc";
    static const char *const bad_final[] = {"",
                                            "c=biws",
                                            "c=biws,r=abc",
                                            "c=biws,r=abc,p=",
                                            "c=xxxx,r=abc,p=AAAA",
                                            "c=biws,r=abc,p=AAAA"};
    for (size_t i = 0; i < ARRAY_LEN(bad_final); i++) {
        const char *reply;
        bool ok = true;
        struct scram *s = scram_new(mem, "user", verifier);
        CHECK_OK(scram_first(s, first, strlen(first), &reply));
        CHECK(scram_final(s, bad_final[i], strlen(bad_final[i]), &reply, &ok) != ERR_OK);
        CHECK(!ok);
    }
    arena_free(mem);
}

static void exchanges(void)
{
    unit_run(1, body);
}

int main(void)
{
    static const struct unit_test tests[] = {{"exchanges", exchanges}};
    return unit_main("scram", tests, ARRAY_LEN(tests));
}
