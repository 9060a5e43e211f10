/* Bad input: every row of the operations' tables. */
#include <stdio.h>

#include "bad/bad.h"
#include "support/suite.h"

static const bad_subject *const subjects[] = {
    &conv2d_bad,
    &pool2d_bad,
    &pad2d_bad,
    &activation_bad,
    &softmax_bad,
    &dense_bad,
    &activation_backward_bad,
    &pad2d_backward_bad,
    &pool2d_backward_bad,
    &loss_bad,
    &dense_backward_bad,
    &backward_data_bad,
    &backward_weights_bad,
    &transposed_bad,
};
#define SUBJECTS (int)(sizeof subjects / sizeof subjects[0])
#define MOST_ROWS 1000

/* _i counts rows; the subject is its thousands. */
START_TEST(bad_row_is_refused) {
  const bad_subject *subject = subjects[_i / MOST_ROWS];
  const int index = _i % MOST_ROWS;
  const char *wrong = bad_subject_check(subject, index);
  ck_assert_msg(wrong[0] == '\0', "%s, row %d%s: %s", subject->name, index,
                index == subject->row_count ? " (good input)" : "", wrong);
}
END_TEST

int main(void) {
  suite_begin("bad input");
  Suite *suite = suite_create("bad input");
  for (int i = 0; i < SUBJECTS; i++)
    tcase_add_loop_test(suite_case(suite, subjects[i]->name), bad_row_is_refused, i * MOST_ROWS,
                        i * MOST_ROWS + bad_subject_checks(subjects[i]));
  return suite_end(suite);
}
