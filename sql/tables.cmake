# Built-in types, functions, operators and catalog rows: tools/tablegen turns sql/catalog/*.tab into
# ${CMAKE_BINARY_DIR}/generated/sql (headers and constant arrays), before anything of sql compiles.
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)

add_executable(tablegen ${CMAKE_SOURCE_DIR}/tools/tablegen.c)
target_compile_options(tablegen PRIVATE -O1)

set(TABLES_OUT ${CMAKE_BINARY_DIR}/generated/sql)
file(MAKE_DIRECTORY ${TABLES_OUT})
file(GLOB TABLES_IN CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/sql/catalog/*.tab
     ${CMAKE_SOURCE_DIR}/sql/catalog/information.sql)
set(TABLES_HEADERS ${TABLES_OUT}/type_oids.h ${TABLES_OUT}/type_functions.h
    ${TABLES_OUT}/builtin_functions.h ${TABLES_OUT}/builtin_rows.h ${TABLES_OUT}/catalog_rows.h)
set(TABLES_SOURCES ${TABLES_OUT}/type_rows.c ${TABLES_OUT}/func_rows.c
    ${TABLES_OUT}/operator_rows.c ${TABLES_OUT}/cast_rows.c ${TABLES_OUT}/catalog_rows.c
    ${TABLES_OUT}/information_rows.c)
add_custom_command(
  OUTPUT ${TABLES_HEADERS} ${TABLES_SOURCES}
  # A build tool that frees nothing; the sanitizer's leak check is for the server.
  COMMAND ${CMAKE_COMMAND} -E env ASAN_OPTIONS=detect_leaks=0 $<TARGET_FILE:tablegen>
          ${CMAKE_SOURCE_DIR}/sql/catalog ${TABLES_OUT}
  DEPENDS tablegen ${TABLES_IN}
  COMMENT "Generating SQL tables")
add_custom_target(sql_tables DEPENDS ${TABLES_HEADERS} ${TABLES_SOURCES})
target_sources(sql PRIVATE ${TABLES_HEADERS} ${TABLES_SOURCES})
set_source_files_properties(${TABLES_SOURCES} PROPERTIES COMPILE_OPTIONS "-O0;-g0")
add_dependencies(sql sql_tables)
target_link_libraries(sql PUBLIC PkgConfig::PCRE2 OpenSSL::Crypto m)
