# Makes tasks.c, the files of builtin/ as bytes. Sets ESPALIER_TASK_SOURCES, which belong to the folder task.
file(GLOB espalier_tasks CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/builtin/*.yaml)
set(ESPALIER_TASK_SOURCES ${CMAKE_CURRENT_BINARY_DIR}/tasks.c)
add_custom_command(OUTPUT ${ESPALIER_TASK_SOURCES}
                   COMMAND Python3::Interpreter ${CMAKE_SOURCE_DIR}/tools/embed-yaml task ${ESPALIER_TASK_SOURCES}
                           ${espalier_tasks}
                   DEPENDS ${CMAKE_SOURCE_DIR}/tools/embed-yaml ${espalier_tasks}
                   COMMENT "Embedding the tasks" VERBATIM)
