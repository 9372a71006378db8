# libpg_query (static, from Debian) and the PostgreSQL server headers whose node structs its trees
# have. Both must be of one major version, or fields would be read at wrong offsets.
find_library(PG_QUERY_LIBRARY NAMES libpg_query.a REQUIRED)
find_path(PG_QUERY_INCLUDE pg_query.h REQUIRED)
find_path(PG_SERVER_INCLUDE nodes/parsenodes.h
          PATHS /usr/include/postgresql/15/server REQUIRED NO_DEFAULT_PATH)

file(STRINGS ${PG_SERVER_INCLUDE}/pg_config.h PG_SERVER_VERSION REGEX "define PG_MAJORVERSION_NUM ")
string(REGEX MATCH "[0-9]+$" PG_SERVER_VERSION "${PG_SERVER_VERSION}")
file(STRINGS ${PG_QUERY_INCLUDE}/pg_query.h PG_QUERY_VERSION REGEX "define PG_MAJORVERSION ")
string(REGEX MATCH "[0-9]+" PG_QUERY_VERSION "${PG_QUERY_VERSION}")
if(NOT PG_SERVER_VERSION STREQUAL PG_QUERY_VERSION)
  message(FATAL_ERROR "libpg_query is made of PostgreSQL '${PG_QUERY_VERSION}', the server headers "
                      "are of '${PG_SERVER_VERSION}': install matching versions")
endif()

file(GLOB PG_NODE_SOURCES CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/parse/*.c
     ${CMAKE_CURRENT_SOURCE_DIR}/analyze/*.c)
set_source_files_properties(${PG_NODE_SOURCES} PROPERTIES
  COMPILE_OPTIONS "-isystem;${PG_SERVER_INCLUDE}")
target_link_libraries(sql PUBLIC ${PG_QUERY_LIBRARY})
