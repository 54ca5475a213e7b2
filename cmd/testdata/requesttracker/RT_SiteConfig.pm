# Request Tracker on loopback with everything in one folder, RT_FOLDER; no mail leaves it.
use utf8;

Set($rtname, 'chat.example.com');
Set($Organization, 'chat.example.com');
Set($DatabaseType, 'SQLite');
Set($DatabaseName, "$ENV{RT_FOLDER}/rt.db");
Set($WebDomain, '127.0.0.1');
Set($WebPort, $ENV{RT_PORT});
Set($WebBaseURL, "http://127.0.0.1:$ENV{RT_PORT}");
Set($WebSessionClass, 'Apache::Session::File');
Set($MailCommand, 'testfile');
Set($LogToSyslog, undef);
Set($LogToSTDERR, 'warning');

$RT::VarPath         = "$ENV{RT_FOLDER}/var";
$RT::MasonDataDir    = "$ENV{RT_FOLDER}/mason";
$RT::MasonSessionDir = "$ENV{RT_FOLDER}/sessions";

1;
