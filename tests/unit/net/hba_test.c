/* pg_hba.conf: parsing, first match, errors that name the line. */
#include "net/hba.c"

#include "tests/unit/core/unit.h"

static const char rules[] = "# comment\n"
                            "local all postgres peer\n"
                            "local \"my db\",other all trust # trailing\n"
                            "hostssl all all 10.0.0.0/8 scram-sha-256\n"
                            "host sameuser all 192.168.1.0 255.255.255.0 trust\n"
                            "host all all ::1/128 trust\n"
                            "host all mallory all reject\n"
                            "host all all 127.0.0.1/32 md5\n";

static bool match(struct hba *h, struct hba_query q, enum auth_method *method)
{
    return hba_match(h, &q, method);
}

static void first_match_decides(void)
{
    struct hba *h = NULL;
    CU_ASSERT_EQUAL(hba_parse("f", rules, &h), ERR_OK);
    enum auth_method m;
    static const uint8_t loopback[16] = {127, 0, 0, 1};
    static const uint8_t ten[16] = {10, 9, 8, 7};
    static const uint8_t lan[16] = {192, 168, 1, 77};
    static const uint8_t lan2[16] = {192, 168, 2, 77};
    static const uint8_t six[16] = {[15] = 1};
    CU_ASSERT(
        match(h, (struct hba_query){.is_unix = true, .database = "x", .user = "postgres"}, &m));
    CU_ASSERT_EQUAL(m, AUTH_PEER);
    CU_ASSERT(match(h, (struct hba_query){.is_unix = true, .database = "my db", .user = "a"}, &m));
    CU_ASSERT_EQUAL(m, AUTH_TRUST);
    CU_ASSERT(!match(h, (struct hba_query){.is_unix = true, .database = "third", .user = "a"}, &m));
    struct hba_query q = {.ip = ten, .ip_bytes = 4, .database = "d", .user = "u"};
    CU_ASSERT(!match(h, q, &m));
    q.is_tls = true;
    CU_ASSERT(match(h, q, &m));
    CU_ASSERT_EQUAL(m, AUTH_SCRAM);
    q = (struct hba_query){.ip = lan, .ip_bytes = 4, .database = "bob", .user = "bob"};
    CU_ASSERT(match(h, q, &m));
    q.user = "eve";
    CU_ASSERT(!match(h, q, &m));
    q = (struct hba_query){.ip = lan2, .ip_bytes = 4, .database = "bob", .user = "bob"};
    CU_ASSERT(!match(h, q, &m));
    q = (struct hba_query){.ip = six, .ip_bytes = 16, .database = "bob", .user = "bob"};
    CU_ASSERT(match(h, q, &m));
    q = (struct hba_query){.ip = loopback, .ip_bytes = 4, .database = "d", .user = "mallory"};
    CU_ASSERT(match(h, q, &m));
    CU_ASSERT_EQUAL(m, AUTH_REJECT);
    q.user = "u";
    CU_ASSERT(match(h, q, &m));
    CU_ASSERT_EQUAL(m, AUTH_SCRAM);
    hba_free(h);
}

static void bad_lines_are_named(void)
{
    static const struct {
        const char *text;
        const char *message;
    } bad[] = {
        {"\nlocals all all trust\n",
         "line 2 of configuration file \"f\": invalid connection type \"locals\""},
        {"local\n",
         "line 1 of configuration file \"f\": end-of-line before database specification"},
        {"local all\n",
         "line 1 of configuration file \"f\": end-of-line before role specification"},
        {"local all all\n",
         "line 1 of configuration file \"f\": end-of-line before authentication method"},
        {"local all all magic\n",
         "line 1 of configuration file \"f\": invalid authentication method \"magic\""},
        {"host all all trust\n",
         "line 1 of configuration file \"f\": invalid IP address \"trust\""},
        {"host all all 1.2.3.4/33 trust\n",
         "line 1 of configuration file \"f\": invalid IP address \"1.2.3.4\""},
        {"host all all 1.2.3.4 trust\n",
         "line 1 of configuration file \"f\": invalid IP address \"1.2.3.4\""},
        {"host all all all peer\n", "line 1 of configuration file \"f\": peer authentication is "
                                    "only supported on local sockets"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct hba *h = NULL;
        CU_ASSERT_EQUAL(hba_parse("f", bad[i].text, &h), ERR_CONFIG_FILE_ERROR);
        CU_ASSERT_STRING_EQUAL(err_diag()->message, bad[i].message);
    }
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"first_match_decides", first_match_decides},
        {"bad_lines_are_named", bad_lines_are_named},
    };
    return unit_main("hba", tests, ARRAY_LEN(tests));
}
