/* COPY input: the first byte chooses table and format, the second how the data is cut into
 * messages, the rest is the data. What was taken goes out again in the same format. Rolled back at
 * the end. */
#include "tests/fuzz/server.h"

#include <stdio.h>
#include <string.h>

static const char *const setup[] = {
    "CREATE TABLE t (a int, b text, c numeric, d timestamptz, e bool, f float8, g int[])",
    "CREATE TABLE u (k int PRIMARY KEY, v varchar(10) NOT NULL, w bytea, i interval, d date, "
    "u uuid, CHECK (k < 1000))",
};

static const char *const formats[] = {
    "",
    "WITH (FORMAT csv)",
    "WITH (FORMAT binary)",
    "WITH (FORMAT csv, HEADER, DELIMITER ';', QUOTE '''', ESCAPE '\\')",
    "WITH (DELIMITER '|', NULL 'nil')",
    "WITH (FORMAT csv, FORCE_NOT_NULL (%s), NULL 'x')",
    "WITH (FORMAT text, HEADER match)",
};

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fuzz_server_start(setup, sizeof(setup) / sizeof(setup[0]));
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    char options[128];
    char text[256];
    bool is_u = (data[0] & 1) != 0;
    const char *format = formats[data[0] / 2 % (sizeof(formats) / sizeof(formats[0]))];
    (void)snprintf(options, sizeof(options), "%s", format);
    char *place = strstr(options, "%s");
    if (place != NULL)
        memcpy(place, is_u ? "v " : "b ", 2);
    (void)snprintf(text, sizeof(text), "COPY %s FROM STDIN %s", is_u ? "u" : "t", options);
    struct fuzz_client *c = fuzz_connect(false);
    fuzz_query(c, "BEGIN");
    fuzz_message(c, 'Q', text, strlen(text) + 1);
    if (fuzz_read_to(c, "GZ") == 'G') {
        size_t step = data[1] == 0 ? size : data[1];
        for (size_t at = 2; at < size; at += step)
            fuzz_message(c, 'd', data + at, step < size - at ? step : size - at);
        fuzz_message(c, 'c', "", 0);
        (void)fuzz_read_to(c, "Z");
        (void)snprintf(text, sizeof(text), "COPY %s TO STDOUT %s", is_u ? "u" : "t",
                       place != NULL ? "WITH (FORMAT csv)" : options);
        fuzz_query(c, text);
    }
    fuzz_close(c);
    return 0;
}
