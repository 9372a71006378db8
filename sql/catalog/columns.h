/*
 * OIDs of the system catalogs and their indexes, and their column numbers. Facts of PostgreSQL 15.
 */
#ifndef SQL_CATALOG_COLUMNS_H
#define SQL_CATALOG_COLUMNS_H

enum catalog_oid {
    REL_CLASS = 1259,
    REL_ATTRIBUTE = 1249,
    REL_ATTRDEF = 2604,
    REL_INDEX = 2610,
    REL_CONSTRAINT = 2606,
    REL_DEPEND = 2608,
    REL_SHDEPEND = 1214,
    REL_SEQUENCE = 2224,
    REL_NAMESPACE = 2615,
    REL_TYPE = 1247,
    REL_REWRITE = 2618,
    REL_STATISTIC = 2619,
    REL_DESCRIPTION = 2609,
    REL_INIT_PRIVS = 3394,
    REL_SHDESCRIPTION = 2396,
    REL_AUTHID = 1260,
    REL_AUTH_MEMBERS = 1261,
    REL_DATABASE = 1262,
    REL_DB_ROLE_SETTING = 2964,
    REL_TABLESPACE = 1213,
    REL_OPCLASS = 2616,
    REL_OPFAMILY = 2753,
    REL_AM = 2601,
    REL_COLLATION = 3456,
    REL_CAST = 2605,
    REL_PROC = 1255,
    REL_OPERATOR = 2617,
    REL_LANGUAGE = 2612,
    REL_AGGREGATE = 2600,
    REL_AMOP = 2602,
    REL_AMPROC = 2603,
    REL_RANGE = 3541,
    REL_EXTENSION = 3079,
    REL_INHERITS = 2611,
    REL_TRIGGER = 2620,
    INDEX_CLASS_OID = 2662,                            /* (oid) */
    INDEX_CLASS_RELNAME_NSP = 2663,                    /* (relname, relnamespace) */
    INDEX_CLASS_TBLSPC_RELFILENODE = 3455,             /* (reltablespace, relfilenode) */
    INDEX_ATTRIBUTE_RELID_ATTNAM = 2658,               /* (attrelid, attname) */
    INDEX_ATTRIBUTE_RELID_ATTNUM = 2659,               /* (attrelid, attnum) */
    INDEX_ATTRDEF_ADRELID_ADNUM = 2656,                /* (adrelid, adnum) */
    INDEX_ATTRDEF_OID = 2657,                          /* (oid) */
    INDEX_INDEX_INDRELID = 2678,                       /* (indrelid) */
    INDEX_INDEX_INDEXRELID = 2679,                     /* (indexrelid) */
    INDEX_CONSTRAINT_CONPARENTID = 2579,               /* (conparentid) */
    INDEX_CONSTRAINT_CONNAME_NSP = 2664,               /* (conname, connamespace) */
    INDEX_CONSTRAINT_CONRELID_CONTYPID_CONNAME = 2665, /* (conrelid, contypid, conname) */
    INDEX_CONSTRAINT_CONTYPID = 2666,                  /* (contypid) */
    INDEX_CONSTRAINT_OID = 2667,                       /* (oid) */
    INDEX_DEPEND_DEPENDER = 2673,                      /* (classid, objid, objsubid) */
    INDEX_DEPEND_REFERENCE = 2674,                     /* (refclassid, refobjid, refobjsubid) */
    INDEX_SHDEPEND_DEPENDER = 1232,                    /* (dbid, classid, objid, objsubid) */
    INDEX_SHDEPEND_REFERENCE = 1233,                   /* (refclassid, refobjid) */
    INDEX_SEQUENCE_SEQRELID = 5002,                    /* (seqrelid) */
    INDEX_NAMESPACE_NSPNAME = 2684,                    /* (nspname) */
    INDEX_NAMESPACE_OID = 2685,                        /* (oid) */
    INDEX_TYPE_OID = 2703,                             /* (oid) */
    INDEX_TYPE_TYPNAME_NSP = 2704,                     /* (typname, typnamespace) */
    INDEX_REWRITE_OID = 2692,                          /* (oid) */
    INDEX_REWRITE_REL_RULENAME = 2693,                 /* (ev_class, rulename) */
    INDEX_STATISTIC_RELID_ATT_INH = 2696,              /* (starelid, staattnum, stainherit) */
    INDEX_DESCRIPTION_O_C_O = 2675,                    /* (objoid, classoid, objsubid) */
    INDEX_SHDESCRIPTION_O_C = 2397,                    /* (objoid, classoid) */
    INDEX_AUTHID_ROLNAME = 2676,                       /* (rolname) */
    INDEX_AUTHID_OID = 2677,                           /* (oid) */
    INDEX_AUTH_MEMBERS_ROLE_MEMBER = 2694,             /* (roleid, member) */
    INDEX_AUTH_MEMBERS_MEMBER_ROLE = 2695,             /* (member, roleid) */
    INDEX_DATABASE_DATNAME = 2671,                     /* (datname) */
    INDEX_DATABASE_OID = 2672,                         /* (oid) */
    INDEX_DB_ROLE_SETTING_DATABASEID_ROL = 2965,       /* (setdatabase, setrole) */
    INDEX_TABLESPACE_OID = 2697,                       /* (oid) */
    INDEX_TABLESPACE_SPCNAME = 2698,                   /* (spcname) */
    INDEX_OPCLASS_AM_NAME_NSP = 2686,                  /* (opcmethod, opcname, opcnamespace) */
    INDEX_OPCLASS_OID = 2687,                          /* (oid) */
    INDEX_OPFAMILY_AM_NAME_NSP = 2754,                 /* (opfmethod, opfname, opfnamespace) */
    INDEX_OPFAMILY_OID = 2755,                         /* (oid) */
    INDEX_AM_NAME = 2651,                              /* (amname) */
    INDEX_AM_OID = 2652,                               /* (oid) */
    INDEX_COLLATION_OID = 3085,                        /* (oid) */
    INDEX_COLLATION_NAME_ENC_NSP = 3164,               /* (collname, collencoding, collnamespace) */
    INDEX_CAST_OID = 2660,                             /* (oid) */
    INDEX_CAST_SOURCE_TARGET = 2661,                   /* (castsource, casttarget) */
    INDEX_PROC_OID = 2690,                             /* (oid) */
    INDEX_PROC_PRONAME_ARGS_NSP = 2691,                /* (proname, proargtypes, pronamespace) */
    INDEX_OPERATOR_OID = 2688,                         /* (oid) */
    INDEX_OPERATOR_OPRNAME_L_R_N = 2689, /* (oprname, oprleft, oprright, oprnamespace) */
    INDEX_LANGUAGE_NAME = 2681,          /* (lanname) */
    INDEX_LANGUAGE_OID = 2682,           /* (oid) */
    INDEX_AGGREGATE_FNOID = 2650,        /* (aggfnoid) */
    INDEX_AMOP_FAM_STRAT = 2653,  /* (amopfamily, amoplefttype, amoprighttype, amopstrategy) */
    INDEX_AMOP_OPR_FAM = 2654,    /* (amopopr, amoppurpose, amopfamily) */
    INDEX_AMOP_OID = 2756,        /* (oid) */
    INDEX_AMPROC_FAM_PROC = 2655, /* (amprocfamily, amproclefttype, amprocrighttype, amprocnum) */
    INDEX_AMPROC_OID = 2757,      /* (oid) */
    INDEX_RANGE_RNGMULTITYPID = 2228,    /* (rngmultitypid) */
    INDEX_RANGE_RNGTYPID = 3542,         /* (rngtypid) */
    INDEX_EXTENSION_OID = 3080,          /* (oid) */
    INDEX_EXTENSION_NAME = 3081,         /* (extname) */
    INDEX_INHERITS_PARENT = 2187,        /* (inhparent) */
    INDEX_INHERITS_RELID_SEQNO = 2680,   /* (inhrelid, inhseqno) */
    INDEX_TRIGGER_TGCONSTRAINT = 2699,   /* (tgconstraint) */
    INDEX_TRIGGER_TGRELID_TGNAME = 2701, /* (tgrelid, tgname) */
    INDEX_TRIGGER_OID = 2702,            /* (oid) */
};

/* The first column of most catalogs. */
enum { COL_OID = 1 };

enum pg_class_column {
    COL_RELNAME = 2,
    COL_RELNAMESPACE,
    COL_RELTYPE,
    COL_RELOFTYPE,
    COL_RELOWNER,
    COL_RELAM,
    COL_RELFILENODE,
    COL_RELTABLESPACE,
    COL_RELPAGES,
    COL_RELTUPLES,
    COL_RELALLVISIBLE,
    COL_RELTOASTRELID,
    COL_RELHASINDEX,
    COL_RELISSHARED,
    COL_RELPERSISTENCE,
    COL_RELKIND,
    COL_RELNATTS,
    COL_RELCHECKS,
    COL_RELHASRULES,
    COL_RELHASTRIGGERS,
    COL_RELHASSUBCLASS,
    COL_RELROWSECURITY,
    COL_RELFORCEROWSECURITY,
    COL_RELISPOPULATED,
    COL_RELREPLIDENT,
    COL_RELISPARTITION,
    COL_RELREWRITE,
    COL_RELFROZENXID,
    COL_RELMINMXID,
    COL_RELACL,
    COL_RELOPTIONS,
    COL_RELPARTBOUND,
};
enum { COLS_CLASS = 33 };

enum pg_attribute_column {
    COL_ATTRELID = 1,
    COL_ATTNAME,
    COL_ATTTYPID,
    COL_ATTSTATTARGET,
    COL_ATTLEN,
    COL_ATTNUM,
    COL_ATTNDIMS,
    COL_ATTCACHEOFF,
    COL_ATTTYPMOD,
    COL_ATTBYVAL,
    COL_ATTALIGN,
    COL_ATTSTORAGE,
    COL_ATTCOMPRESSION,
    COL_ATTNOTNULL,
    COL_ATTHASDEF,
    COL_ATTHASMISSING,
    COL_ATTIDENTITY,
    COL_ATTGENERATED,
    COL_ATTISDROPPED,
    COL_ATTISLOCAL,
    COL_ATTINHCOUNT,
    COL_ATTCOLLATION,
    COL_ATTACL,
    COL_ATTOPTIONS,
    COL_ATTFDWOPTIONS,
    COL_ATTMISSINGVAL,
};
enum { COLS_ATTRIBUTE = 26 };

enum pg_attrdef_column {
    COL_ADRELID = 2,
    COL_ADNUM,
    COL_ADBIN,
};
enum { COLS_ATTRDEF = 4 };

enum pg_index_column {
    COL_INDEXRELID = 1,
    COL_INDRELID,
    COL_INDNATTS,
    COL_INDNKEYATTS,
    COL_INDISUNIQUE,
    COL_INDNULLSNOTDISTINCT,
    COL_INDISPRIMARY,
    COL_INDISEXCLUSION,
    COL_INDIMMEDIATE,
    COL_INDISCLUSTERED,
    COL_INDISVALID,
    COL_INDCHECKXMIN,
    COL_INDISREADY,
    COL_INDISLIVE,
    COL_INDISREPLIDENT,
    COL_INDKEY,
    COL_INDCOLLATION,
    COL_INDCLASS,
    COL_INDOPTION,
    COL_INDEXPRS,
    COL_INDPRED,
};
enum { COLS_INDEX = 21 };

enum pg_constraint_column {
    COL_CONNAME = 2,
    COL_CONNAMESPACE,
    COL_CONTYPE,
    COL_CONDEFERRABLE,
    COL_CONDEFERRED,
    COL_CONVALIDATED,
    COL_CONRELID,
    COL_CONTYPID,
    COL_CONINDID,
    COL_CONPARENTID,
    COL_CONFRELID,
    COL_CONFUPDTYPE,
    COL_CONFDELTYPE,
    COL_CONFMATCHTYPE,
    COL_CONISLOCAL,
    COL_CONINHCOUNT,
    COL_CONNOINHERIT,
    COL_CONKEY,
    COL_CONFKEY,
    COL_CONPFEQOP,
    COL_CONPPEQOP,
    COL_CONFFEQOP,
    COL_CONFDELSETCOLS,
    COL_CONEXCLOP,
    COL_CONBIN,
};
enum { COLS_CONSTRAINT = 26 };

enum pg_trigger_column {
    COL_TGRELID = 2,
    COL_TGPARENTID,
    COL_TGNAME,
    COL_TGFOID,
    COL_TGTYPE,
    COL_TGENABLED,
    COL_TGISINTERNAL,
    COL_TGCONSTRRELID,
    COL_TGCONSTRINDID,
    COL_TGCONSTRAINT,
    COL_TGDEFERRABLE,
    COL_TGINITDEFERRED,
    COL_TGNARGS,
    COL_TGATTR,
    COL_TGARGS,
    COL_TGQUAL,
    COL_TGOLDTABLE,
    COL_TGNEWTABLE,
};
enum { COLS_TRIGGER = 19 };

enum pg_depend_column {
    COL_CLASSID = 1,
    COL_OBJID,
    COL_OBJSUBID,
    COL_REFCLASSID,
    COL_REFOBJID,
    COL_REFOBJSUBID,
    COL_DEPTYPE,
};
enum { COLS_DEPEND = 7 };

enum pg_sequence_column {
    COL_SEQRELID = 1,
    COL_SEQTYPID,
    COL_SEQSTART,
    COL_SEQINCREMENT,
    COL_SEQMAX,
    COL_SEQMIN,
    COL_SEQCACHE,
    COL_SEQCYCLE,
};
enum { COLS_SEQUENCE = 8 };

enum pg_namespace_column {
    COL_NSPNAME = 2,
    COL_NSPOWNER,
    COL_NSPACL,
};
enum { COLS_NAMESPACE = 4 };

enum pg_type_column {
    COL_TYPNAME = 2,
    COL_TYPNAMESPACE,
    COL_TYPOWNER,
    COL_TYPLEN,
    COL_TYPBYVAL,
    COL_TYPTYPE,
    COL_TYPCATEGORY,
    COL_TYPISPREFERRED,
    COL_TYPISDEFINED,
    COL_TYPDELIM,
    COL_TYPRELID,
    COL_TYPSUBSCRIPT,
    COL_TYPELEM,
    COL_TYPARRAY,
    COL_TYPINPUT,
    COL_TYPOUTPUT,
    COL_TYPRECEIVE,
    COL_TYPSEND,
    COL_TYPMODIN,
    COL_TYPMODOUT,
    COL_TYPANALYZE,
    COL_TYPALIGN,
    COL_TYPSTORAGE,
    COL_TYPNOTNULL,
    COL_TYPBASETYPE,
    COL_TYPTYPMOD,
    COL_TYPNDIMS,
    COL_TYPCOLLATION,
    COL_TYPDEFAULTBIN,
    COL_TYPDEFAULT,
    COL_TYPACL,
};
enum { COLS_TYPE = 32 };

enum pg_rewrite_column {
    COL_RULENAME = 2,
    COL_EV_CLASS,
    COL_EV_TYPE,
    COL_EV_ENABLED,
    COL_IS_INSTEAD,
    COL_EV_QUAL,
    COL_EV_ACTION,
};
enum { COLS_REWRITE = 8 };

enum pg_statistic_column {
    COL_STARELID = 1,
    COL_STAATTNUM,
    COL_STAINHERIT,
    COL_STANULLFRAC,
    COL_STAWIDTH,
    COL_STADISTINCT,
    COL_STAKIND1,
    COL_STAKIND2,
    COL_STAKIND3,
    COL_STAKIND4,
    COL_STAKIND5,
    COL_STAOP1,
    COL_STAOP2,
    COL_STAOP3,
    COL_STAOP4,
    COL_STAOP5,
    COL_STACOLL1,
    COL_STACOLL2,
    COL_STACOLL3,
    COL_STACOLL4,
    COL_STACOLL5,
    COL_STANUMBERS1,
    COL_STANUMBERS2,
    COL_STANUMBERS3,
    COL_STANUMBERS4,
    COL_STANUMBERS5,
    COL_STAVALUES1,
    COL_STAVALUES2,
    COL_STAVALUES3,
    COL_STAVALUES4,
    COL_STAVALUES5,
};
enum { COLS_STATISTIC = 31 };

enum pg_description_column {
    COL_OBJOID = 1,
    COL_CLASSOID,
    COL_DESCRIPTION = 4, /* objsubid = COL_OBJSUBID */
};
enum { COLS_DESCRIPTION = 4 };

enum { /* pg_init_privs */
       COL_INIT_OBJOID = 1,
       COL_INIT_CLASSOID,
       COL_INIT_OBJSUBID,
       COL_PRIVTYPE,
       COL_INITPRIVS
};
enum { COLS_INIT_PRIVS = 5 };

enum pg_shdescription_column {
    COL_SHOBJOID = 1,
    COL_SHCLASSOID,
    COL_SHDESCRIPTION,
};
enum { COLS_SHDESCRIPTION = 3 };

enum pg_authid_column {
    COL_ROLNAME = 2,
    COL_ROLSUPER,
    COL_ROLINHERIT,
    COL_ROLCREATEROLE,
    COL_ROLCREATEDB,
    COL_ROLCANLOGIN,
    COL_ROLREPLICATION,
    COL_ROLBYPASSRLS,
    COL_ROLCONNLIMIT,
    COL_ROLPASSWORD,
    COL_ROLVALIDUNTIL,
};
enum { COLS_AUTHID = 12 };

enum pg_auth_members_column {
    COL_ROLEID = 1,
    COL_MEMBER,
    COL_GRANTOR,
    COL_ADMIN_OPTION,
};
enum { COLS_AUTH_MEMBERS = 4 };

enum pg_database_column {
    COL_DATNAME = 2,
    COL_DATDBA,
    COL_ENCODING,
    COL_DATLOCPROVIDER,
    COL_DATISTEMPLATE,
    COL_DATALLOWCONN,
    COL_DATCONNLIMIT,
    COL_DATFROZENXID,
    COL_DATMINMXID,
    COL_DATTABLESPACE,
    COL_DATCOLLATE,
    COL_DATCTYPE,
    COL_DATICULOCALE,
    COL_DATCOLLVERSION,
    COL_DATACL,
};
enum { COLS_DATABASE = 16 };

enum pg_db_role_setting_column {
    COL_SETDATABASE = 1,
    COL_SETROLE,
    COL_SETCONFIG,
};
enum { COLS_DB_ROLE_SETTING = 3 };

enum pg_tablespace_column {
    COL_SPCNAME = 2,
    COL_SPCOWNER,
    COL_SPCACL,
    COL_SPCOPTIONS,
};
enum { COLS_TABLESPACE = 5 };

enum pg_opclass_column {
    COL_OPCMETHOD = 2,
    COL_OPCNAME,
    COL_OPCNAMESPACE,
    COL_OPCOWNER,
    COL_OPCFAMILY,
    COL_OPCINTYPE,
    COL_OPCDEFAULT,
    COL_OPCKEYTYPE,
};
enum { COLS_OPCLASS = 9 };

enum pg_opfamily_column {
    COL_OPFMETHOD = 2,
    COL_OPFNAME,
    COL_OPFNAMESPACE,
    COL_OPFOWNER,
};
enum { COLS_OPFAMILY = 5 };

enum pg_am_column {
    COL_AMNAME = 2,
    COL_AMHANDLER,
    COL_AMTYPE,
};
enum { COLS_AM = 4 };

enum pg_collation_column {
    COL_COLLNAME = 2,
    COL_COLLNAMESPACE,
    COL_COLLOWNER,
    COL_COLLPROVIDER,
    COL_COLLISDETERMINISTIC,
    COL_COLLENCODING,
    COL_COLLCOLLATE,
    COL_COLLCTYPE,
    COL_COLLICULOCALE,
    COL_COLLVERSION,
};
enum { COLS_COLLATION = 11 };

enum pg_cast_column {
    COL_CASTSOURCE = 2,
    COL_CASTTARGET,
    COL_CASTFUNC,
    COL_CASTCONTEXT,
    COL_CASTMETHOD,
};
enum { COLS_CAST = 6 };

enum pg_proc_column {
    COL_PRONAME = 2,
    COL_PRONAMESPACE,
    COL_PROOWNER,
    COL_PROLANG,
    COL_PROCOST,
    COL_PROROWS,
    COL_PROVARIADIC,
    COL_PROSUPPORT,
    COL_PROKIND,
    COL_PROSECDEF,
    COL_PROLEAKPROOF,
    COL_PROISSTRICT,
    COL_PRORETSET,
    COL_PROVOLATILE,
    COL_PROPARALLEL,
    COL_PRONARGS,
    COL_PRONARGDEFAULTS,
    COL_PRORETTYPE,
    COL_PROARGTYPES,
    COL_PROALLARGTYPES,
    COL_PROARGMODES,
    COL_PROARGNAMES,
    COL_PROARGDEFAULTS,
    COL_PROTRFTYPES,
    COL_PROSRC,
    COL_PROBIN,
    COL_PROSQLBODY,
    COL_PROCONFIG,
    COL_PROACL,
};
enum { COLS_PROC = 30 };

enum pg_operator_column {
    COL_OPRNAME = 2,
    COL_OPRNAMESPACE,
    COL_OPROWNER,
    COL_OPRKIND,
    COL_OPRCANMERGE,
    COL_OPRCANHASH,
    COL_OPRLEFT,
    COL_OPRRIGHT,
    COL_OPRRESULT,
    COL_OPRCOM,
    COL_OPRNEGATE,
    COL_OPRCODE,
    COL_OPRREST,
    COL_OPRJOIN,
};
enum { COLS_OPERATOR = 15 };

enum pg_language_column {
    COL_LANNAME = 2,
    COL_LANOWNER,
    COL_LANISPL,
    COL_LANPLTRUSTED,
    COL_LANPLCALLFOID,
    COL_LANINLINE,
    COL_LANVALIDATOR,
    COL_LANACL,
};
enum { COLS_LANGUAGE = 9 };

enum pg_aggregate_column {
    COL_AGGFNOID = 1,
    COL_AGGKIND,
    COL_AGGNUMDIRECTARGS,
    COL_AGGTRANSFN,
    COL_AGGFINALFN,
    COL_AGGCOMBINEFN,
    COL_AGGSERIALFN,
    COL_AGGDESERIALFN,
    COL_AGGMTRANSFN,
    COL_AGGMINVTRANSFN,
    COL_AGGMFINALFN,
    COL_AGGFINALEXTRA,
    COL_AGGMFINALEXTRA,
    COL_AGGFINALMODIFY,
    COL_AGGMFINALMODIFY,
    COL_AGGSORTOP,
    COL_AGGTRANSTYPE,
    COL_AGGTRANSSPACE,
    COL_AGGMTRANSTYPE,
    COL_AGGMTRANSSPACE,
    COL_AGGINITVAL,
    COL_AGGMINITVAL,
};
enum { COLS_AGGREGATE = 22 };

enum pg_amop_column {
    COL_AMOPFAMILY = 2,
    COL_AMOPLEFTTYPE,
    COL_AMOPRIGHTTYPE,
    COL_AMOPSTRATEGY,
    COL_AMOPPURPOSE,
    COL_AMOPOPR,
    COL_AMOPMETHOD,
    COL_AMOPSORTFAMILY,
};
enum { COLS_AMOP = 9 };

enum pg_amproc_column {
    COL_AMPROCFAMILY = 2,
    COL_AMPROCLEFTTYPE,
    COL_AMPROCRIGHTTYPE,
    COL_AMPROCNUM,
    COL_AMPROC,
};
enum { COLS_AMPROC = 6 };

enum pg_range_column {
    COL_RNGTYPID = 1,
    COL_RNGSUBTYPE,
    COL_RNGMULTITYPID,
    COL_RNGCOLLATION,
    COL_RNGSUBOPC,
    COL_RNGCANONICAL,
    COL_RNGSUBDIFF,
};
enum { COLS_RANGE = 7 };

enum pg_extension_column {
    COL_EXTNAME = 2,
    COL_EXTOWNER,
    COL_EXTNAMESPACE,
    COL_EXTRELOCATABLE,
    COL_EXTVERSION,
    COL_EXTCONFIG,
    COL_EXTCONDITION,
};
enum { COLS_EXTENSION = 8 };

enum pg_inherits_column {
    COL_INHRELID = 1,
    COL_INHPARENT,
    COL_INHSEQNO,
    COL_INHDETACHPENDING,
};
enum { COLS_INHERITS = 4 };

#endif
