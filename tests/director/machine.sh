# Makes of a fresh root a monitoring host with Icinga 2 and the Director, without systemd, as root there.
set -eu
plugins=/opt/plugins

printf '127.0.0.1 localhost mon\n::1 localhost\n' >/etc/hosts

# MariaDB, which nothing but this host can reach.
install -d -o mysql /run/mysqld
mariadb-install-db --user=mysql >/dev/null
setsid mariadbd --user=mysql --skip-networking --socket=/run/mysqld/mysqld.sock \
    </dev/null >/var/log/mariadb.log 2>&1 &
until mariadb-admin ping; do sleep 0.1; done
mariadb -e "CREATE DATABASE director CHARACTER SET 'utf8'"
mariadb -e "GRANT ALL ON director.* TO director@localhost IDENTIFIED BY 'secret'"

# Icinga Web, of which only the command line is used.
install -d /etc/icingaweb2/modules/director
cat >/etc/icingaweb2/resources.ini <<END
[director_db]
type = "db"
db = "mysql"
host = "localhost"
dbname = "director"
username = "director"
password = "secret"
charset = "utf8"
END
cat >/etc/icingaweb2/config.ini <<END
[global]
config_backend = "ini"
[logging]
log = "none"
END
cat >/etc/icingaweb2/modules/director/config.ini <<END
[db]
resource = "director_db"
END
cat >/etc/icingaweb2/modules/director/kickstart.ini <<END
[config]
endpoint = mon
host = 127.0.0.1
port = 5665
username = director
password = secret
END
for module in incubator reactbundle director; do icingacli module enable "$module"; done
icingacli director migration run

# Icinga, whose plugins are elsewhere than Debian's, and note what they are given.
install -d "$plugins" /opt/state
install -m 755 /root/recorder.php "$plugins/recorder"
for program in check_by_ssh check_nrpe check_dummy check_ping check_anycast; do
    ln -s recorder "$plugins/$program"
done
ln -s "$plugins/recorder" /usr/local/bin/anycast-handler
install -o nagios -m 644 /dev/null /opt/state/calls
install -d -o nagios -g nagios /run/icinga2
icinga2 api setup --cn mon
cat >/etc/icinga2/conf.d/api-users.conf <<END
object ApiUser "director" { password = "secret", permissions = [ "*" ] }
END
cat >/etc/icinga2/zones.conf <<END
object Endpoint "mon" { }
object Zone "master" { endpoints = [ "mon" ] }
object Zone "director-global" { global = true }
object Zone "global-templates" { global = true }
END
sed -i -E '/^const (PluginDir|NodeName|ZoneName) /d' /etc/icinga2/constants.conf
cat >>/etc/icinga2/constants.conf <<END
const PluginDir = "$plugins"
const NodeName = "mon"
const ZoneName = "master"
END
sed -i 's,^include_recursive "conf.d",include "conf.d/api-users.conf",' /etc/icinga2/icinga2.conf
icinga2 daemon -C
setsid icinga2 daemon </dev/null >/var/log/icinga2.out 2>&1 &
until bash -c '</dev/tcp/127.0.0.1/5665'; do sleep 0.1; done
icingacli director kickstart run
