/* Authentication of a connection by the first hba rule that matches it. */
#include "net/conn_priv.h"

#include <pwd.h>
#include <unistd.h>

#include "core/core.h"

static err_t auth_failed(const char *method, const char *user)
{
    return err_raise(ERR_INVALID_AUTHORIZATION_SPECIFICATION,
                     "%s authentication failed for user \"%s\"", method, user);
}

static err_t auth_no_rule(struct conn *c, const char *user, const char *database, bool rejected)
{
    const char *what = rejected ? "pg_hba.conf rejects connection" : "no pg_hba.conf entry";
    if (c->peer->is_unix)
        return err_raise(ERR_INVALID_AUTHORIZATION_SPECIFICATION,
                         "%s for host \"[local]\", user \"%s\", database \"%s\", no encryption",
                         what, user, database);
    return err_raise(ERR_INVALID_AUTHORIZATION_SPECIFICATION,
                     "%s for host \"%s\", user \"%s\", database \"%s\", %s", what, c->peer->address,
                     user, database, c->tls ? "SSL encryption" : "no encryption");
}

static err_t auth_peer(struct conn *c, const char *user)
{
    struct passwd pw;
    struct passwd *found = NULL;
    char *buffer = arena_alloc(c->scratch, 16384);
    if (getpwuid_r(c->peer->uid, &pw, buffer, 16384, &found) != 0 || !found ||
        strcmp(found->pw_name, user) != 0)
        return auth_failed("Peer", user);
    return ERR_OK;
}

static SUSPENDS err_t auth_read_wait(struct conn *c, const uint8_t **body, size_t *len)
{
    uint8_t type;
    TRY(conn_flush_wait(c));
    c->phase = CONN_READY; /* messages have a type byte from here */
    err_t e = conn_read_message_wait(c, &type, body, len);
    c->phase = CONN_STARTUP;
    TRY(e);
    if (type == 'p')
        return ERR_OK;
    return err_raise(ERR_PROTOCOL_VIOLATION, "expected SASL response, got message type %d", type);
}

static void auth_send(struct conn *c, uint32_t code, const char *data)
{
    out_begin(c, 'R');
    out_u32(c, code);
    out_bytes(c, data, strlen(data));
    out_end(c);
}

static err_t auth_password_failed(const char *user)
{
    return err_raise(ERR_INVALID_PASSWORD, "password authentication failed for user \"%s\"", user);
}

static SUSPENDS err_t auth_scram_wait(struct conn *c, const char *user,
                                      const struct auth_role *role)
{
    static const char mechanism[] = "SCRAM-SHA-256";
    const uint8_t *body;
    size_t len;
    struct scram *s = scram_new(c->scratch, user, role->found ? role->verifier : NULL);
    out_begin(c, 'R');
    out_u32(c, 10); /* AuthenticationSASL */
    out_string(c, mechanism);
    out_u8(c, 0);
    out_end(c);
    TRY(auth_read_wait(c, &body, &len));
    const uint8_t *nul = memchr(body, 0, len);
    if (!nul || strcmp((const char *)body, mechanism) != 0 || body + len - nul < 5)
        return err_raise(ERR_PROTOCOL_VIOLATION,
                         "client selected an invalid SASL authentication mechanism");
    size_t first_len = load_be32(nul + 1);
    if (first_len != (size_t)(body + len - nul - 5))
        return err_raise(ERR_PROTOCOL_VIOLATION, "malformed SCRAM message");
    const char *reply;
    TRY(scram_first(s, (const char *)nul + 5, first_len, &reply));
    auth_send(c, 11, reply); /* SASLContinue */
    TRY(auth_read_wait(c, &body, &len));
    bool ok;
    TRY(scram_final(s, (const char *)body, len, &reply, &ok));
    if (!ok || (role->valid_until_us != INT64_MAX && role->valid_until_us < core_wall_us()))
        return auth_password_failed(user);
    auth_send(c, 12, reply); /* SASLFinal */
    return ERR_OK;
}

SUSPENDS err_t auth_check_wait(struct conn *c, const char *user, const char *database,
                               bool *is_superuser)
{
    struct hba_query q = {
        .is_unix = c->peer->is_unix,
        .is_tls = c->tls != NULL,
        .ip = c->peer->ip,
        .ip_bytes = c->peer->ip_bytes,
        .database = database,
        .user = user,
    };
    enum auth_method method;
    bool found = hba_match(net_hba(), &q, &method);
    if (!found || method == AUTH_REJECT)
        return auth_no_rule(c, user, database, found);
    struct auth_role role;
    TRY(sql_find_role_wait(user, database, c->scratch, &role));
    *is_superuser = role.found && role.superuser;
    switch (method) {
    case AUTH_PEER:
        return auth_peer(c, user);
    case AUTH_SCRAM:
        return auth_scram_wait(c, user, &role);
    case AUTH_TRUST:
    case AUTH_REJECT:
        break;
    }
    return ERR_OK;
}
