/* Access lists: arrays of aclitem, whose values hold role oids, so that renamed roles keep their
 * rights. */
#ifndef SQL_TYPES_ACL_H
#define SQL_TYPES_ACL_H

#include "sql/types/types.h"

/* Rights as bits, in the order in which they are printed. */
enum {
    ACL_INSERT = 1U << 0,
    ACL_SELECT = 1U << 1,
    ACL_UPDATE = 1U << 2,
    ACL_DELETE = 1U << 3,
    ACL_TRUNCATE = 1U << 4,
    ACL_REFERENCES = 1U << 5,
    ACL_TRIGGER = 1U << 6,
    ACL_EXECUTE = 1U << 7,
    ACL_USAGE = 1U << 8,
    ACL_CREATE = 1U << 9,
    ACL_TEMPORARY = 1U << 10,
    ACL_CONNECT = 1U << 11,
    ACL_SET = 1U << 12,
    ACL_ALTER_SYSTEM = 1U << 13,
};
enum { ACL_BIT_COUNT = 14 };

struct acl_item {
    oid grantee; /* 0: PUBLIC */
    oid grantor;
    uint32_t rights;
    uint32_t options; /* those that the grantee may hand on */
};

struct acl_item acl_item_read(datum d);
datum acl_item_make(struct arena *mem, const struct acl_item *item);
char acl_letter(uint32_t bit_number);
const char *acl_word(uint32_t bit_number); /* "INSERT" */
uint32_t acl_bit_of_letter(char letter);   /* 0: no such right */
uint32_t acl_bits_of_letters(const char *letters);
/* "select", "TEMP" ...; 0: no such right. */
uint32_t acl_bit_of_word(const char *word, size_t len);
/* What PUBLIC and the owner have when an object's list is null. kind as in acldefault(): 'r'
 * relation, 's' sequence, 'c' column, 'd' database, 'f' function, 'l' language, 'L' large object,
 * 'n' schema, 't' tablespace, 'F' foreign-data wrapper, 'S' server, 'T' type, 'p' parameter. false:
 * no such kind. */
bool acl_default(char kind, uint32_t *everybody, uint32_t *owner);

#endif
