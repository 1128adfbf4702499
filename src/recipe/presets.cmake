# Makes presets.c, the files of presets/ as bytes. Sets ESPALIER_PRESET_SOURCES, which belong to the folder recipe.
find_package(Python3 3.7 REQUIRED COMPONENTS Interpreter)
file(GLOB espalier_presets CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/presets/*.yaml)
set(ESPALIER_PRESET_SOURCES ${CMAKE_CURRENT_BINARY_DIR}/presets.c)
add_custom_command(OUTPUT ${ESPALIER_PRESET_SOURCES}
                   COMMAND Python3::Interpreter ${CMAKE_SOURCE_DIR}/tools/embed-yaml preset ${ESPALIER_PRESET_SOURCES}
                           ${espalier_presets}
                   DEPENDS ${CMAKE_SOURCE_DIR}/tools/embed-yaml ${espalier_presets}
                   COMMENT "Embedding the presets" VERBATIM)
