/* Settings: names, values with units, messages, transactions, reports, configuration files. */
#include "tests/unit/core/unit.h"

#include "core/settings.h"

#define CHECK_MESSAGE(call, code, text)                                                            \
    do {                                                                                           \
        CU_ASSERT_EQUAL((call), (code));                                                           \
        CU_ASSERT_STRING_EQUAL(err_diag()->message, (text));                                       \
        if (strcmp(err_diag()->message, (text)) != 0)                                              \
            fprintf(stderr, "%s:%d: got: %s\n", __FILE__, __LINE__, err_diag()->message);          \
    } while (0)

static struct arena *arena;
static struct settings_view *view;

static void begin(void)
{
    arena = arena_new();
    view = settings_view_new();
}

static void end(void)
{
    settings_view_free(view);
    arena_free(arena);
}

static const char *show(const char *name)
{
    const char *text = NULL;
    if (setting_show(view, name, arena, &text) != ERR_OK)
        return "(error)";
    return text;
}

static err_t set(const char *name, const char *value)
{
    return setting_set(view, name, value, false, true, SETTING_SOURCE_SESSION);
}

static void names_are_found_and_sorted(void)
{
    enum setting_id id;
    for (int i = 0; i < SETTING_COUNT; i++) {
        CU_ASSERT_TRUE(setting_find(setting_info((enum setting_id)i)->name, &id));
        CU_ASSERT_EQUAL((int)id, i);
        bool is_enum = setting_info((enum setting_id)i)->type == SETTING_ENUM;
        CU_ASSERT_EQUAL(is_enum, setting_info((enum setting_id)i)->enum_values != NULL);
    }
    CU_ASSERT_TRUE(setting_find("DATESTYLE", &id));
    CU_ASSERT_STRING_EQUAL(setting_info(id)->name, "DateStyle");
    CU_ASSERT_TRUE(setting_find("numa.policy", &id));
    CU_ASSERT_EQUAL(id, SET_numa_policy);
    CU_ASSERT_FALSE(setting_find("no_such", &id));
    CU_ASSERT_TRUE(setting_find("sort_mem", &id));
    CU_ASSERT_EQUAL(id, SET_work_mem);
}

static void values_are_shown_with_units(void)
{
    begin();
    CU_ASSERT_STRING_EQUAL(show("work_mem"), "4MB");
    CU_ASSERT_STRING_EQUAL(show("shared_buffers"), "128MB");
    CU_ASSERT_STRING_EQUAL(show("checkpoint_timeout"), "5min");
    CU_ASSERT_STRING_EQUAL(show("statement_timeout"), "0");
    CU_ASSERT_STRING_EQUAL(show("log_min_duration_statement"), "-1");
    CU_ASSERT_STRING_EQUAL(show("unix_socket_permissions"), "0777");
    CU_ASSERT_STRING_EQUAL(show("wal_segment_size"), "16MB");
    CU_ASSERT_STRING_EQUAL(show("max_wal_size"), "1GB");
    CU_ASSERT_STRING_EQUAL(show("server_version"), "15.18");
    CU_ASSERT_STRING_EQUAL(show("search_path"), "\"$user\", public");
    CU_ASSERT_STRING_EQUAL(show("random_page_cost"), "4");
    CU_ASSERT_STRING_EQUAL(show("autovacuum_vacuum_cost_delay"), "2ms");
    CU_ASSERT_EQUAL(set("work_mem", "1.5MB"), ERR_OK);
    CU_ASSERT_STRING_EQUAL(show("work_mem"), "1536kB");
    CU_ASSERT_EQUAL(setting_int(view, SET_work_mem), 1536);
    CU_ASSERT_EQUAL(set("work_mem", "0x100"), ERR_OK);
    CU_ASSERT_STRING_EQUAL(show("work_mem"), "256kB");
    CU_ASSERT_EQUAL(set("statement_timeout", "1.5s"), ERR_OK);
    CU_ASSERT_STRING_EQUAL(show("statement_timeout"), "1500ms");
    CU_ASSERT_EQUAL(set("statement_timeout", " 2 h "), ERR_OK);
    CU_ASSERT_STRING_EQUAL(show("statement_timeout"), "2h");
    CU_ASSERT_EQUAL(set("enable_seqscan", "Of"), ERR_OK);
    CU_ASSERT_FALSE(setting_bool(view, SET_enable_seqscan));
    CU_ASSERT_EQUAL(set("synchronous_commit", "no"), ERR_OK);
    CU_ASSERT_STRING_EQUAL(show("synchronous_commit"), "off");
    CU_ASSERT_EQUAL(set("seq_page_cost", "1.25"), ERR_OK);
    CU_ASSERT_EQUAL(setting_real(view, SET_seq_page_cost), 1.25);
    CU_ASSERT_EQUAL(set("datestyle", "sql, dmy"), ERR_OK);
    CU_ASSERT_STRING_EQUAL(show("DateStyle"), "SQL, DMY");
    CU_ASSERT_EQUAL(set("client_encoding", "utf-8"), ERR_OK);
    CU_ASSERT_STRING_EQUAL(show("client_encoding"), "UTF8");
    uint64_t bytes;
    CU_ASSERT_EQUAL(setting_parse_bytes("16GB", &bytes), ERR_OK);
    CU_ASSERT_EQUAL(bytes, GIB(16));
    CU_ASSERT_NOT_EQUAL(setting_parse_bytes("16XB", &bytes), ERR_OK);
    end();
}

static void messages_are_postgresqls(void)
{
    begin();
    CHECK_MESSAGE(set("nonsense", "1"), ERR_UNDEFINED_OBJECT,
                  "unrecognized configuration parameter \"nonsense\"");
    CHECK_MESSAGE(set("enable_seqscan", "maybe"), ERR_INVALID_PARAMETER_VALUE,
                  "parameter \"enable_seqscan\" requires a Boolean value");
    CHECK_MESSAGE(set("work_mem", "much"), ERR_INVALID_PARAMETER_VALUE,
                  "invalid value for parameter \"work_mem\": \"much\"");
    CHECK_MESSAGE(set("work_mem", "4XB"), ERR_INVALID_PARAMETER_VALUE,
                  "invalid value for parameter \"work_mem\": \"4XB\"");
    CU_ASSERT_STRING_EQUAL(
        err_diag()->hint,
        "Valid units for this parameter are \"B\", \"kB\", \"MB\", \"GB\", and \"TB\".");
    CHECK_MESSAGE(set("work_mem", "1"), ERR_INVALID_PARAMETER_VALUE,
                  "1 kB is outside the valid range for parameter \"work_mem\" (64 .. 2147483647)");
    CHECK_MESSAGE(set("extra_float_digits", "4"), ERR_INVALID_PARAMETER_VALUE,
                  "4 is outside the valid range for parameter \"extra_float_digits\" (-15 .. 3)");
    CHECK_MESSAGE(set("statement_timeout", "9999999999"), ERR_INVALID_PARAMETER_VALUE,
                  "invalid value for parameter \"statement_timeout\": \"9999999999\"");
    CU_ASSERT_STRING_EQUAL(err_diag()->hint, "Value exceeds integer range.");
    CHECK_MESSAGE(set("bytea_output", "base64"), ERR_INVALID_PARAMETER_VALUE,
                  "invalid value for parameter \"bytea_output\": \"base64\"");
    CU_ASSERT_STRING_EQUAL(err_diag()->hint, "Available values: escape, hex.");
    CHECK_MESSAGE(set("port", "1"), ERR_CANT_CHANGE_RUNTIME_PARAM,
                  "parameter \"port\" cannot be changed without restarting the server");
    CHECK_MESSAGE(set("fsync", "off"), ERR_CANT_CHANGE_RUNTIME_PARAM,
                  "parameter \"fsync\" cannot be changed now");
    CHECK_MESSAGE(set("server_version", "1"), ERR_CANT_CHANGE_RUNTIME_PARAM,
                  "parameter \"server_version\" cannot be changed");
    CHECK_MESSAGE(setting_set(view, "log_statement", "all", false, false, SETTING_SOURCE_SESSION),
                  ERR_INSUFFICIENT_PRIVILEGE,
                  "permission denied to set parameter \"log_statement\"");
    CHECK_MESSAGE(set("my.1x", "a"), ERR_INVALID_NAME,
                  "invalid configuration parameter name \"my.1x\"");
    CHECK_MESSAGE(set("datestyle", "iso, sql"), ERR_INVALID_PARAMETER_VALUE,
                  "invalid value for parameter \"DateStyle\": \"iso, sql\"");
    end();
}

static void transactions_bring_values_back(void)
{
    begin();
    uint32_t outer = settings_mark(view);
    CU_ASSERT_EQUAL(set("work_mem", "8MB"), ERR_OK);
    uint32_t inner = settings_mark(view);
    CU_ASSERT_EQUAL(set("work_mem", "16MB"), ERR_OK);
    CU_ASSERT_EQUAL(set("my.var", "x"), ERR_OK);
    CU_ASSERT_STRING_EQUAL(show("MY.var"), "x");
    settings_rollback_to(view, inner);
    CU_ASSERT_STRING_EQUAL(show("work_mem"), "8MB");
    settings_rollback_to(view, outer);
    CU_ASSERT_STRING_EQUAL(show("work_mem"), "4MB");

    CU_ASSERT_EQUAL(set("work_mem", "8MB"), ERR_OK);
    CU_ASSERT_EQUAL(setting_set(view, "work_mem", "1GB", true, true, SETTING_SOURCE_SESSION),
                    ERR_OK);
    CU_ASSERT_STRING_EQUAL(show("work_mem"), "1GB");
    settings_commit(view); /* ends SET LOCAL, keeps SET */
    CU_ASSERT_STRING_EQUAL(show("work_mem"), "8MB");

    CU_ASSERT_EQUAL(setting_set(view, "work_mem", "1GB", true, true, SETTING_SOURCE_SESSION),
                    ERR_OK);
    CU_ASSERT_EQUAL(set("work_mem", "2GB"), ERR_OK); /* a later SET wins */
    settings_commit(view);
    CU_ASSERT_STRING_EQUAL(show("work_mem"), "2GB");

    CU_ASSERT_EQUAL(setting_set(view, "work_mem", "3MB", false, true, SETTING_SOURCE_CLIENT),
                    ERR_OK);
    CU_ASSERT_STRING_EQUAL(show("work_mem"), "2GB");
    CU_ASSERT_EQUAL(set("work_mem", NULL), ERR_OK); /* RESET: what the client asked for */
    CU_ASSERT_STRING_EQUAL(show("work_mem"), "3MB");
    CU_ASSERT_EQUAL(set("work_mem", "5MB"), ERR_OK);
    CU_ASSERT_EQUAL(set("enable_sort", "off"), ERR_OK);
    settings_commit(view);
    CU_ASSERT_EQUAL(setting_reset_all(view), ERR_OK);
    CU_ASSERT_STRING_EQUAL(show("work_mem"), "3MB");
    CU_ASSERT_TRUE(setting_bool(view, SET_enable_sort));
    settings_rollback_to(view, 0);
    CU_ASSERT_STRING_EQUAL(show("work_mem"), "5MB");
    const char *value;
    const char *reset;
    const char *file;
    enum setting_source source;
    int line;
    setting_describe(view, SET_work_mem, arena, &value, &reset, &source, &file, &line);
    CU_ASSERT_STRING_EQUAL(value, "5120");
    CU_ASSERT_STRING_EQUAL(reset, "3072");
    CU_ASSERT_EQUAL(source, SETTING_SOURCE_SESSION);
    end();
}

static int report_count;
static char last_report[64];

static void report(void *owner, const char *name, const char *text)
{
    (void)owner;
    report_count++;
    snprintf(last_report, sizeof(last_report), "%s=%s", name, text);
}

static void reports_come_once(void)
{
    begin();
    report_count = 0;
    settings_report_changes(view, report, NULL);
    CU_ASSERT_EQUAL(report_count, 13);
    settings_report_changes(view, report, NULL);
    CU_ASSERT_EQUAL(report_count, 13);
    CU_ASSERT_EQUAL(set("application_name", "psql\n"), ERR_OK);
    CU_ASSERT_EQUAL(set("work_mem", "8MB"), ERR_OK);
    settings_report_changes(view, report, NULL);
    CU_ASSERT_EQUAL(report_count, 14);
    CU_ASSERT_STRING_EQUAL(last_report, "application_name=psql?");
    CU_ASSERT_EQUAL(setting_force(view, SET_is_superuser, "on"), ERR_OK);
    settings_report_changes(view, report, NULL);
    CU_ASSERT_STRING_EQUAL(last_report, "is_superuser=on");
    end();
}

static void files_are_read_whole(void)
{
    begin();
    CU_ASSERT_EQUAL(settings_load_text("percore.conf",
                                       "# comment\n"
                                       "work_mem = 8MB # more\n"
                                       "port 5433\r\n"
                                       "search_path = '\"$user\", it''s, a\\tb'\n"
                                       "\n"
                                       "numa.policy = 'none'\n"
                                       "node1.shared_buffers = '16GB'\n"
                                       "cores = '0-7,16'",
                                       false),
                    ERR_OK);
    CU_ASSERT_STRING_EQUAL(show("work_mem"), "8MB");
    CU_ASSERT_EQUAL(setting_int(NULL, SET_port), 5433);
    CU_ASSERT_STRING_EQUAL(setting_string(NULL, SET_search_path), "\"$user\", it's, a\tb");
    CU_ASSERT_STRING_EQUAL(setting_string(NULL, SET_cores), "0-7,16");
    CU_ASSERT_STRING_EQUAL(settings_node_value(1, "shared_buffers"), "16GB");
    CU_ASSERT_PTR_NULL(settings_node_value(0, "shared_buffers"));

    CHECK_MESSAGE(settings_load_text("a.conf", "port = 5433\nbogus = 1\n", false),
                  ERR_UNDEFINED_OBJECT,
                  "unrecognized configuration parameter \"bogus\" in file \"a.conf\" line 2");
    CHECK_MESSAGE(settings_load_text("a.conf", "port = 5433\n\nwork_mem = = 3\n", false),
                  ERR_CONFIG_FILE_ERROR,
                  "syntax error in file \"a.conf\" line 3, near token \"=\"");
    CHECK_MESSAGE(settings_load_text("a.conf", "work_mem\n", false), ERR_CONFIG_FILE_ERROR,
                  "syntax error in file \"a.conf\" line 1, near end of line");
    CHECK_MESSAGE(settings_load_text("a.conf", "port = 0\n", false), ERR_INVALID_PARAMETER_VALUE,
                  "0 is outside the valid range for parameter \"port\" (1 .. 65535)");
    CU_ASSERT_STRING_EQUAL(err_diag()->context, "configuration file \"a.conf\" line 1");
    CU_ASSERT_EQUAL(setting_int(NULL, SET_port), 5433); /* nothing of a bad file counts */

    CU_ASSERT_EQUAL(settings_set_argv("port", "6000"), ERR_OK);
    CU_ASSERT_EQUAL(setting_int(NULL, SET_port), 6000);
    CU_ASSERT_NOT_EQUAL(settings_set_argv("port", "x"), ERR_OK);
    CU_ASSERT_NOT_EQUAL(settings_set_argv("prt", "1"), ERR_OK);
    CU_ASSERT_EQUAL(settings_load_text("auto.conf", "work_mem = 2MB\n", false), ERR_OK);
    CU_ASSERT_STRING_EQUAL(show("work_mem"), "2MB");

    /* Reload: the file's old lines are gone, what needs a restart stays. */
    CU_ASSERT_EQUAL(
        settings_load_text("percore.conf", "max_connections = 5\nlog_checkpoints = off\n", true),
        ERR_OK);
    CU_ASSERT_EQUAL(setting_int(NULL, SET_max_connections), 100000);
    CU_ASSERT_FALSE(setting_bool(NULL, SET_log_checkpoints));
    CU_ASSERT_STRING_EQUAL(setting_string(NULL, SET_search_path), "\"$user\", public");
    CU_ASSERT_STRING_EQUAL(show("work_mem"), "2MB");
    CU_ASSERT_EQUAL(setting_int(NULL, SET_port), 6000);
    end();
}

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    fputs(text, f);
    fclose(f);
}

static void files_include_files(void)
{
    begin();
    char dir[] = "/tmp/percore_settings_XXXXXX";
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
    char path[128];
    snprintf(path, sizeof(path), "%s/more.conf", dir);
    write_text(path, "work_mem = 7MB\ninclude_if_exists 'absent.conf'\n");
    snprintf(path, sizeof(path), "%s/loop.conf", dir);
    write_text(path, "include 'loop.conf'\n");
    snprintf(path, sizeof(path), "%s/main.conf", dir);
    CU_ASSERT_EQUAL(settings_load_text(path, "include 'more.conf'\n", false), ERR_OK);
    CU_ASSERT_STRING_EQUAL(show("work_mem"), "7MB");
    CU_ASSERT_NOT_EQUAL(settings_load_text(path, "include 'absent.conf'\n", false), ERR_OK);
    CU_ASSERT_EQUAL(settings_load_text(path, "include 'loop.conf'\n", false),
                    ERR_CONFIG_FILE_ERROR);
    char absolute[200];
    snprintf(absolute, sizeof(absolute), "include_dir '%s'\n", dir);
    CU_ASSERT_EQUAL(settings_load_text("other.conf", absolute, false), ERR_CONFIG_FILE_ERROR);
    snprintf(path, sizeof(path), "%s/loop.conf", dir);
    unlink(path);
    CU_ASSERT_EQUAL(settings_load_text("other.conf", absolute, false), ERR_OK);
    snprintf(path, sizeof(path), "%s/more.conf", dir);
    unlink(path);
    rmdir(dir);
    end();
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"names_are_found_and_sorted", names_are_found_and_sorted},
        {"values_are_shown_with_units", values_are_shown_with_units},
        {"messages_are_postgresqls", messages_are_postgresqls},
        {"transactions_bring_values_back", transactions_bring_values_back},
        {"reports_come_once", reports_come_once},
        {"files_are_read_whole", files_are_read_whole},
        {"files_include_files", files_include_files},
    };
    return unit_main("settings", tests, ARRAY_LEN(tests));
}
