/*
 * aclitem values: 16 bytes in the machine's order, compared and hashed as bytes.
 *
 *   0  oid of the grantee, 0 = PUBLIC     8  rights
 *   4  oid of the grantor                12  rights that may be handed on
 */
#include "sql/types/acl.h"

#include "sql/types/types_priv.h"

#include <strings.h>

static const struct {
    char letter;
    const char *word;
} rights[ACL_BIT_COUNT] = {
    {'a', "INSERT"},   {'r', "SELECT"},       {'w', "UPDATE"},    {'d', "DELETE"},
    {'D', "TRUNCATE"}, {'x', "REFERENCES"},   {'t', "TRIGGER"},   {'X', "EXECUTE"},
    {'U', "USAGE"},    {'C', "CREATE"},       {'T', "TEMPORARY"}, {'c', "CONNECT"},
    {'s', "SET"},      {'A', "ALTER SYSTEM"},
};

_Static_assert(sizeof(struct acl_item) == 16, "a value is the struct's bytes");

struct acl_item acl_item_read(datum d)
{
    struct acl_item item = {0};
    const struct varlen *v = datum_varlen(d);
    if (v->len == sizeof(item))
        memcpy(&item, v->data, sizeof(item));
    return item;
}

datum acl_item_make(struct arena *mem, const struct acl_item *item)
{
    return datum_of_varlen(varlen_new(mem, item, sizeof(*item)));
}

char acl_letter(uint32_t bit_number)
{
    ASSERT(bit_number < ACL_BIT_COUNT);
    return rights[bit_number].letter;
}

const char *acl_word(uint32_t bit_number)
{
    ASSERT(bit_number < ACL_BIT_COUNT);
    return rights[bit_number].word;
}

uint32_t acl_bit_of_letter(char letter)
{
    for (uint32_t i = 0; i < ACL_BIT_COUNT; i++)
        if (rights[i].letter == letter)
            return 1U << i;
    return 0;
}

uint32_t acl_bits_of_letters(const char *letters)
{
    uint32_t bits = 0;
    for (; *letters; letters++)
        bits |= acl_bit_of_letter(*letters);
    return bits;
}

uint32_t acl_bit_of_word(const char *word, size_t len)
{
    if (len == 4 && strncasecmp(word, "TEMP", 4) == 0)
        return ACL_TEMPORARY;
    for (uint32_t i = 0; i < ACL_BIT_COUNT; i++)
        if (strlen(rights[i].word) == len && strncasecmp(rights[i].word, word, len) == 0)
            return 1U << i;
    return 0;
}

bool acl_default(char kind, uint32_t *everybody, uint32_t *owner)
{
    static const struct {
        char kind;
        const char *everybody;
        const char *owner;
    } defaults[] = {
        {'c', "", ""},   {'r', "", "arwdDxt"}, {'s', "", "rwU"}, {'d', "Tc", "CTc"},
        {'f', "X", "X"}, {'l', "U", "U"},      {'L', "", "rw"},  {'n', "", "UC"},
        {'t', "", "C"},  {'F', "", "U"},       {'S', "", "U"},   {'T', "U", "U"},
        {'p', "", "sA"},
    };
    for (size_t i = 0; i < ARRAY_LEN(defaults); i++) {
        if (defaults[i].kind != kind)
            continue;
        *everybody = acl_bits_of_letters(defaults[i].everybody);
        *owner = acl_bits_of_letters(defaults[i].owner);
        return true;
    }
    return false;
}
