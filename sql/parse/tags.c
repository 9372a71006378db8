/* Command tags of raw statements, as PostgreSQL names them. */
#include "sql/parse/nodes.h"
#include "sql/parse/parse.h"

/* CREATE/ALTER/DROP/... of the kind of object; NULL where there is no such name. */
static const char *tag_object(ObjectType type)
{
    switch (type) {
    case OBJECT_ACCESS_METHOD:
        return "ACCESS METHOD";
    case OBJECT_AGGREGATE:
        return "AGGREGATE";
    case OBJECT_ATTRIBUTE:
    case OBJECT_TYPE:
        return "TYPE";
    case OBJECT_CAST:
        return "CAST";
    case OBJECT_COLUMN:
    case OBJECT_TABLE:
    case OBJECT_TABCONSTRAINT:
        return "TABLE";
    case OBJECT_COLLATION:
        return "COLLATION";
    case OBJECT_CONVERSION:
        return "CONVERSION";
    case OBJECT_DATABASE:
        return "DATABASE";
    case OBJECT_DOMAIN:
    case OBJECT_DOMCONSTRAINT:
        return "DOMAIN";
    case OBJECT_EVENT_TRIGGER:
        return "EVENT TRIGGER";
    case OBJECT_EXTENSION:
        return "EXTENSION";
    case OBJECT_FDW:
        return "FOREIGN DATA WRAPPER";
    case OBJECT_FOREIGN_SERVER:
        return "SERVER";
    case OBJECT_FOREIGN_TABLE:
        return "FOREIGN TABLE";
    case OBJECT_FUNCTION:
        return "FUNCTION";
    case OBJECT_INDEX:
        return "INDEX";
    case OBJECT_LANGUAGE:
        return "LANGUAGE";
    case OBJECT_LARGEOBJECT:
        return "LARGE OBJECT";
    case OBJECT_MATVIEW:
        return "MATERIALIZED VIEW";
    case OBJECT_OPCLASS:
        return "OPERATOR CLASS";
    case OBJECT_OPERATOR:
        return "OPERATOR";
    case OBJECT_OPFAMILY:
        return "OPERATOR FAMILY";
    case OBJECT_POLICY:
        return "POLICY";
    case OBJECT_PROCEDURE:
        return "PROCEDURE";
    case OBJECT_PUBLICATION:
        return "PUBLICATION";
    case OBJECT_ROLE:
        return "ROLE";
    case OBJECT_ROUTINE:
        return "ROUTINE";
    case OBJECT_RULE:
        return "RULE";
    case OBJECT_SCHEMA:
        return "SCHEMA";
    case OBJECT_SEQUENCE:
        return "SEQUENCE";
    case OBJECT_STATISTIC_EXT:
        return "STATISTICS";
    case OBJECT_SUBSCRIPTION:
        return "SUBSCRIPTION";
    case OBJECT_TABLESPACE:
        return "TABLESPACE";
    case OBJECT_TRANSFORM:
        return "TRANSFORM";
    case OBJECT_TRIGGER:
        return "TRIGGER";
    case OBJECT_TSCONFIGURATION:
        return "TEXT SEARCH CONFIGURATION";
    case OBJECT_TSDICTIONARY:
        return "TEXT SEARCH DICTIONARY";
    case OBJECT_TSPARSER:
        return "TEXT SEARCH PARSER";
    case OBJECT_TSTEMPLATE:
        return "TEXT SEARCH TEMPLATE";
    case OBJECT_USER_MAPPING:
        return "USER MAPPING";
    case OBJECT_VIEW:
        return "VIEW";
    default:
        return NULL;
    }
}

/* The verb and the object as one string constant. */
#define TAG_CASE(object)                                                                           \
    if (strcmp(name, object) == 0)                                                                 \
        return verb == 'C' ? "CREATE " object : verb == 'A' ? "ALTER " object : "DROP " object;

static const char *tag_with_verb(char verb, ObjectType type)
{
    const char *name = tag_object(type);
    if (!name)
        return "???";
    TAG_CASE("TABLE")
    TAG_CASE("INDEX")
    TAG_CASE("SEQUENCE")
    TAG_CASE("VIEW")
    TAG_CASE("SCHEMA")
    TAG_CASE("TYPE")
    TAG_CASE("DOMAIN")
    TAG_CASE("FUNCTION")
    TAG_CASE("PROCEDURE")
    TAG_CASE("ROUTINE")
    TAG_CASE("AGGREGATE")
    TAG_CASE("DATABASE")
    TAG_CASE("ROLE")
    TAG_CASE("ACCESS METHOD")
    TAG_CASE("CAST")
    TAG_CASE("COLLATION")
    TAG_CASE("CONVERSION")
    TAG_CASE("EVENT TRIGGER")
    TAG_CASE("EXTENSION")
    TAG_CASE("FOREIGN DATA WRAPPER")
    TAG_CASE("SERVER")
    TAG_CASE("FOREIGN TABLE")
    TAG_CASE("LANGUAGE")
    TAG_CASE("LARGE OBJECT")
    TAG_CASE("MATERIALIZED VIEW")
    TAG_CASE("OPERATOR CLASS")
    TAG_CASE("OPERATOR FAMILY")
    TAG_CASE("OPERATOR")
    TAG_CASE("POLICY")
    TAG_CASE("PUBLICATION")
    TAG_CASE("RULE")
    TAG_CASE("STATISTICS")
    TAG_CASE("SUBSCRIPTION")
    TAG_CASE("TABLESPACE")
    TAG_CASE("TRANSFORM")
    TAG_CASE("TRIGGER")
    TAG_CASE("TEXT SEARCH CONFIGURATION")
    TAG_CASE("TEXT SEARCH DICTIONARY")
    TAG_CASE("TEXT SEARCH PARSER")
    TAG_CASE("TEXT SEARCH TEMPLATE")
    TAG_CASE("USER MAPPING")
    return "???";
}

static const char *tag_transaction(const TransactionStmt *n)
{
    switch (n->kind) {
    case TRANS_STMT_BEGIN:
        return "BEGIN";
    case TRANS_STMT_START:
        return "START TRANSACTION";
    case TRANS_STMT_COMMIT:
        return "COMMIT";
    case TRANS_STMT_ROLLBACK:
    case TRANS_STMT_ROLLBACK_TO:
        return "ROLLBACK";
    case TRANS_STMT_SAVEPOINT:
        return "SAVEPOINT";
    case TRANS_STMT_RELEASE:
        return "RELEASE";
    case TRANS_STMT_PREPARE:
        return "PREPARE TRANSACTION";
    case TRANS_STMT_COMMIT_PREPARED:
        return "COMMIT PREPARED";
    case TRANS_STMT_ROLLBACK_PREPARED:
        return "ROLLBACK PREPARED";
    }
    return "???";
}

static const char *tag_discard(const DiscardStmt *n)
{
    switch (n->target) {
    case DISCARD_ALL:
        return "DISCARD ALL";
    case DISCARD_PLANS:
        return "DISCARD PLANS";
    case DISCARD_SEQUENCES:
        return "DISCARD SEQUENCES";
    case DISCARD_TEMP:
        return "DISCARD TEMP";
    }
    return "???";
}

static const char *tag_variable_set(const VariableSetStmt *n)
{
    return n->kind == VAR_RESET || n->kind == VAR_RESET_ALL ? "RESET" : "SET";
}

static const char *tag_create_as(const CreateTableAsStmt *n)
{
    if (n->objtype == OBJECT_MATVIEW)
        return "CREATE MATERIALIZED VIEW";
    return n->is_select_into ? "SELECT INTO" : "CREATE TABLE AS";
}

static const char *tag_define(const DefineStmt *n)
{
    return tag_with_verb('C', n->kind);
}

struct tag {
    NodeTag node;
    const char *text;
};
static const struct tag tags[] = {
    {T_SelectStmt, "SELECT"},
    {T_InsertStmt, "INSERT"},
    {T_UpdateStmt, "UPDATE"},
    {T_DeleteStmt, "DELETE"},
    {T_MergeStmt, "MERGE"},
    {T_DeclareCursorStmt, "DECLARE CURSOR"},
    {T_CreateDomainStmt, "CREATE DOMAIN"},
    {T_CreateSchemaStmt, "CREATE SCHEMA"},
    {T_CreateStmt, "CREATE TABLE"},
    {T_CreateTableSpaceStmt, "CREATE TABLESPACE"},
    {T_DropTableSpaceStmt, "DROP TABLESPACE"},
    {T_AlterTableSpaceOptionsStmt, "ALTER TABLESPACE"},
    {T_CreateExtensionStmt, "CREATE EXTENSION"},
    {T_AlterExtensionStmt, "ALTER EXTENSION"},
    {T_AlterExtensionContentsStmt, "ALTER EXTENSION"},
    {T_CreateFdwStmt, "CREATE FOREIGN DATA WRAPPER"},
    {T_AlterFdwStmt, "ALTER FOREIGN DATA WRAPPER"},
    {T_CreateForeignServerStmt, "CREATE SERVER"},
    {T_AlterForeignServerStmt, "ALTER SERVER"},
    {T_CreateUserMappingStmt, "CREATE USER MAPPING"},
    {T_AlterUserMappingStmt, "ALTER USER MAPPING"},
    {T_DropUserMappingStmt, "DROP USER MAPPING"},
    {T_CreateForeignTableStmt, "CREATE FOREIGN TABLE"},
    {T_ImportForeignSchemaStmt, "IMPORT FOREIGN SCHEMA"},
    {T_TruncateStmt, "TRUNCATE TABLE"},
    {T_CommentStmt, "COMMENT"},
    {T_SecLabelStmt, "SECURITY LABEL"},
    {T_CopyStmt, "COPY"},
    {T_AlterDomainStmt, "ALTER DOMAIN"},
    {T_AlterOperatorStmt, "ALTER OPERATOR"},
    {T_AlterTypeStmt, "ALTER TYPE"},
    {T_AlterTSDictionaryStmt, "ALTER TEXT SEARCH DICTIONARY"},
    {T_AlterTSConfigurationStmt, "ALTER TEXT SEARCH CONFIGURATION"},
    {T_AlterDefaultPrivilegesStmt, "ALTER DEFAULT PRIVILEGES"},
    {T_CompositeTypeStmt, "CREATE TYPE"},
    {T_CreateEnumStmt, "CREATE TYPE"},
    {T_CreateRangeStmt, "CREATE TYPE"},
    {T_AlterEnumStmt, "ALTER TYPE"},
    {T_ViewStmt, "CREATE VIEW"},
    {T_IndexStmt, "CREATE INDEX"},
    {T_RuleStmt, "CREATE RULE"},
    {T_CreateSeqStmt, "CREATE SEQUENCE"},
    {T_AlterSeqStmt, "ALTER SEQUENCE"},
    {T_DoStmt, "DO"},
    {T_CreatedbStmt, "CREATE DATABASE"},
    {T_AlterDatabaseStmt, "ALTER DATABASE"},
    {T_AlterDatabaseRefreshCollStmt, "ALTER DATABASE"},
    {T_AlterDatabaseSetStmt, "ALTER DATABASE"},
    {T_DropdbStmt, "DROP DATABASE"},
    {T_NotifyStmt, "NOTIFY"},
    {T_ListenStmt, "LISTEN"},
    {T_UnlistenStmt, "UNLISTEN"},
    {T_LoadStmt, "LOAD"},
    {T_CallStmt, "CALL"},
    {T_ClusterStmt, "CLUSTER"},
    {T_ExplainStmt, "EXPLAIN"},
    {T_RefreshMatViewStmt, "REFRESH MATERIALIZED VIEW"},
    {T_AlterSystemStmt, "ALTER SYSTEM"},
    {T_VariableShowStmt, "SHOW"},
    {T_CreateTransformStmt, "CREATE TRANSFORM"},
    {T_CreateTrigStmt, "CREATE TRIGGER"},
    {T_CreateEventTrigStmt, "CREATE EVENT TRIGGER"},
    {T_AlterEventTrigStmt, "ALTER EVENT TRIGGER"},
    {T_CreatePLangStmt, "CREATE LANGUAGE"},
    {T_CreateRoleStmt, "CREATE ROLE"},
    {T_AlterRoleStmt, "ALTER ROLE"},
    {T_AlterRoleSetStmt, "ALTER ROLE"},
    {T_DropRoleStmt, "DROP ROLE"},
    {T_DropOwnedStmt, "DROP OWNED"},
    {T_ReassignOwnedStmt, "REASSIGN OWNED"},
    {T_LockStmt, "LOCK TABLE"},
    {T_ConstraintsSetStmt, "SET CONSTRAINTS"},
    {T_CheckPointStmt, "CHECKPOINT"},
    {T_ReindexStmt, "REINDEX"},
    {T_CreateConversionStmt, "CREATE CONVERSION"},
    {T_CreateCastStmt, "CREATE CAST"},
    {T_CreateOpClassStmt, "CREATE OPERATOR CLASS"},
    {T_CreateOpFamilyStmt, "CREATE OPERATOR FAMILY"},
    {T_AlterOpFamilyStmt, "ALTER OPERATOR FAMILY"},
    {T_CreatePolicyStmt, "CREATE POLICY"},
    {T_AlterPolicyStmt, "ALTER POLICY"},
    {T_CreateAmStmt, "CREATE ACCESS METHOD"},
    {T_CreatePublicationStmt, "CREATE PUBLICATION"},
    {T_AlterPublicationStmt, "ALTER PUBLICATION"},
    {T_CreateSubscriptionStmt, "CREATE SUBSCRIPTION"},
    {T_AlterSubscriptionStmt, "ALTER SUBSCRIPTION"},
    {T_DropSubscriptionStmt, "DROP SUBSCRIPTION"},
    {T_CreateStatsStmt, "CREATE STATISTICS"},
    {T_AlterStatsStmt, "ALTER STATISTICS"},
    {T_AlterCollationStmt, "ALTER COLLATION"},
    {T_PrepareStmt, "PREPARE"},
    {T_ExecuteStmt, "EXECUTE"},
};

static const char *tag_select(const SelectStmt *n)
{
    const SelectStmt *left = n;
    while (left->larg)
        left = left->larg;
    return left->intoClause ? "SELECT INTO" : "SELECT";
}

const char *parse_command_tag(const struct raw_statement *s)
{
    const Node *node = s->node;
    switch (nodeTag(node)) {
    case T_SelectStmt:
        return tag_select((const SelectStmt *)node);
    case T_TransactionStmt:
        return tag_transaction((const TransactionStmt *)node);
    case T_ClosePortalStmt:
        return ((const ClosePortalStmt *)node)->portalname ? "CLOSE CURSOR" : "CLOSE CURSOR ALL";
    case T_FetchStmt:
        return ((const FetchStmt *)node)->ismove ? "MOVE" : "FETCH";
    case T_DropStmt:
        return tag_with_verb('D', ((const DropStmt *)node)->removeType);
    case T_RenameStmt: {
        const RenameStmt *r = (const RenameStmt *)node;
        bool by_relation = r->renameType == OBJECT_COLUMN || r->renameType == OBJECT_ATTRIBUTE;
        return tag_with_verb('A', by_relation ? r->relationType : r->renameType);
    }
    case T_AlterObjectDependsStmt:
        return tag_with_verb('A', ((const AlterObjectDependsStmt *)node)->objectType);
    case T_AlterObjectSchemaStmt:
        return tag_with_verb('A', ((const AlterObjectSchemaStmt *)node)->objectType);
    case T_AlterOwnerStmt:
        return tag_with_verb('A', ((const AlterOwnerStmt *)node)->objectType);
    case T_AlterTableMoveAllStmt:
        return tag_with_verb('A', ((const AlterTableMoveAllStmt *)node)->objtype);
    case T_AlterTableStmt:
        return tag_with_verb('A', ((const AlterTableStmt *)node)->objtype);
    case T_AlterFunctionStmt:
        return tag_with_verb('A', ((const AlterFunctionStmt *)node)->objtype);
    case T_CreateFunctionStmt:
        return ((const CreateFunctionStmt *)node)->is_procedure ? "CREATE PROCEDURE"
                                                                : "CREATE FUNCTION";
    case T_GrantStmt:
        return ((const GrantStmt *)node)->is_grant ? "GRANT" : "REVOKE";
    case T_GrantRoleStmt:
        return ((const GrantRoleStmt *)node)->is_grant ? "GRANT ROLE" : "REVOKE ROLE";
    case T_DefineStmt:
        return tag_define((const DefineStmt *)node);
    case T_VacuumStmt:
        return ((const VacuumStmt *)node)->is_vacuumcmd ? "VACUUM" : "ANALYZE";
    case T_CreateTableAsStmt:
        return tag_create_as((const CreateTableAsStmt *)node);
    case T_VariableSetStmt:
        return tag_variable_set((const VariableSetStmt *)node);
    case T_DiscardStmt:
        return tag_discard((const DiscardStmt *)node);
    case T_DeallocateStmt:
        return ((const DeallocateStmt *)node)->name ? "DEALLOCATE" : "DEALLOCATE ALL";
    default:
        break;
    }
    for (size_t i = 0; i < ARRAY_LEN(tags); i++) {
        if (tags[i].node == nodeTag(node))
            return tags[i].text;
    }
    return "???";
}
