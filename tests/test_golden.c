/* Worked cases of the course material (golden/cases.json), and of ties and NaN in the backward pass
 * of pooling (golden/winners.json); the files are the arguments. */
#include <stdio.h>
#include <stdlib.h>

#include "golden/golden.h"
#include "support/suite.h"

#define MOST_FILES 4
#define MOST_CASES 128

static cJSON *files[MOST_FILES];
static const cJSON *cases[MOST_CASES];

static const char *text_of(const cJSON *one, const char *name) {
  return cJSON_GetObjectItemCaseSensitive(one, name)->valuestring;
}

START_TEST(case_passes) {
  const char *name = text_of(cases[_i], "name"), *op = text_of(cases[_i], "op");
  ck_assert_msg(golden_forward(cases[_i], op) || golden_backward(cases[_i], op), "%s: operation %s",
                name, op);
}
END_TEST

static cJSON *read_file(const char *path) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) {
    perror(path);
    exit(2);
  }
  fseek(file, 0, SEEK_END);
  const long size = ftell(file);
  rewind(file);
  char *text = malloc((size_t)size + 1);
  if (text == NULL || fread(text, 1, (size_t)size, file) != (size_t)size) exit(2);
  text[size] = '\0';
  fclose(file);
  cJSON *parsed = cJSON_Parse(text);
  free(text);
  return parsed;
}

int main(int argc, char **argv) {
  if (argc < 2 || argc > 1 + MOST_FILES) {
    fprintf(stderr, "usage: %s cases.json...\n", argv[0]);
    return 2;
  }
  suite_begin("golden");
  Suite *suite = suite_create("golden");
  TCase *all = suite_case(suite, "cases");
  int count = 0;
  for (int i = 1; i < argc; i++) {
    files[i - 1] = read_file(argv[i]);
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(files[i - 1], "cases");
    const int of_file = cJSON_GetArraySize(list); /* 0 of what is no list */
    if (of_file == 0 || of_file > MOST_CASES - count) {
      fprintf(stderr, "%s holds %d cases\n", argv[i], of_file);
      return 2;
    }
    for (int c = 0; c < of_file; c++) cases[count++] = cJSON_GetArrayItem(list, c);
  }
  tcase_add_loop_test(all, case_passes, 0, count);
  const int result = suite_end(suite);
  for (int i = 0; i < MOST_FILES; i++) cJSON_Delete(files[i]);
  return result;
}
