#!/usr/bin/php -n
<?php
// Stands for a plugin or the handler: notes its command line, and ends as it was told.
file_put_contents('/opt/state/calls', json_encode($argv) . "\n", FILE_APPEND | LOCK_EX);
exit((int) @file_get_contents('/opt/state/' . basename($argv[0])));
